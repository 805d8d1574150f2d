// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/parameter/row_mask.hpp>

#include <vector>

namespace symopt::inline SYMOPT_ABI::detail {

/// A gradient times a factor, in memory of its own: the trainer's is only read. The memory is taken at the
/// first use and kept.
template <class Scalar>
class ScaledGradient {
 public:
  std::vector<BlockView<const Scalar>> of(const std::vector<BlockView<const Scalar>>& gradient,
                                          const RowMask& mask, double factor) {
    Index size = 0;
    for (const BlockView<const Scalar>& block : gradient) size += block.rows.size * block.cols.size;
    entries_.resize(static_cast<std::size_t>(size));
    std::vector<BlockView<const Scalar>> scaled;
    Scalar* next = entries_.data();
    for (const BlockView<const Scalar>& block : gradient) {
      const BlockView<Scalar> copy(next, {block.rows.size, block.cols.size}, {block.cols.size, 1});
      const BlockView<Scalar> existing = mask.existing(copy);
      for_each_segment(mask.existing(block), [&](Index i, Index j, const auto& segment) {
        Scalar* row = existing.row(i) + j;
        for (Index k = 0; k < segment.size(); ++k)
          row[k] = static_cast<Scalar>(factor * static_cast<double>(segment.coeff(k)));
      });
      scaled.push_back(copy);
      next += block.rows.size * block.cols.size;
    }
    return scaled;
  }

 private:
  std::vector<Scalar> entries_;
};

}  // namespace symopt::detail
