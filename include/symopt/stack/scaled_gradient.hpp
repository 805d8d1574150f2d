// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/bfloat16.hpp>
#include <symopt/parameter/row_mask.hpp>

#include <vector>

namespace symopt { inline namespace SYMOPT_ABI { namespace detail {

/// A number of a gradient, exactly.
inline double as_double(float x) {
  return static_cast<double>(x);
}
inline double as_double(double x) {
  return x;
}
inline double as_double(bfloat16 x) {
  return static_cast<double>(to_float(x));
}

/// A gradient times a factor, in memory of its own: the trainer's is only read. The memory is taken at the
/// first use and kept.
template <class Scalar>
class ScaledGradient {
 public:
  /// `gradient` in Scalar, or in bfloat16 for a step in float.
  template <class Stored>
  std::vector<BlockView<const Scalar>> of(const std::vector<BlockView<const Stored>>& gradient,
                                          const RowMask& mask, double factor) {
    Index size = 0;
    for (const BlockView<const Stored>& block : gradient) size += block.rows.size * block.cols.size;
    entries_.resize(static_cast<std::size_t>(size));
    std::vector<BlockView<const Scalar>> scaled;
    Scalar* next = entries_.data();
    for (const BlockView<const Stored>& block : gradient) {
      const BlockView<Scalar> copy(next, {block.rows.size, block.cols.size}, {block.cols.size, 1});
      const BlockView<Scalar> existing = mask.existing(copy);
      for_each_segment(mask.existing(block), [&](Index i, Index j, const auto& segment) {
        Scalar* row = existing.row(i) + j;
        for (Index k = 0; k < segment.size(); ++k)
          row[k] = static_cast<Scalar>(factor * as_double(segment.coeff(k)));
      });
      scaled.push_back(copy);
      next += block.rows.size * block.cols.size;
    }
    return scaled;
  }

 private:
  std::vector<Scalar> entries_;
};

}}}  // namespace symopt::detail
