// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/bfloat16.hpp>
#include <symopt/kernel/gradient_view.hpp>
#include <symopt/memory/overlap.hpp>
#include <symopt/parameter/row_mask.hpp>

#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <optional>
#include <vector>

namespace symopt { inline namespace SYMOPT_ABI { namespace detail {

/// A number of a gradient, exactly.
template <class Number>
double as_double(Number x) {
  return static_cast<double>(x);
}
inline double as_double(bfloat16 x) {
  return static_cast<double>(to_float(x));
}

/// The blocks of a parameter's gradient, in Scalar or in bfloat16, and where it lies.
template <class Scalar>
struct StoredGradient {
  std::vector<BlockView<const Scalar>> values{};
  std::vector<BlockView<const bfloat16>> bf16{};
  std::optional<TensorAddresses> addresses{};

  std::size_t count() const { return values.size() + bf16.size(); }

  /// The rows of a block that exist.
  kernel::GradientView<Scalar> view(std::size_t b, const RowMask& mask) const {
    if constexpr (std::same_as<Scalar, float>)
      if (!bf16.empty()) return {mask.existing(bf16[b])};
    return {mask.existing(values[b])};
  }

  /// The Frobenius norm of all blocks together, without overflow or underflow.
  double norm(const RowMask& mask) const {
    double norm = 0;
    const auto add = [&](const auto& blocks) {
      for (const auto& block : blocks)
        for_each_segment(mask.existing(block), [&](Index, Index, const auto& segment) {
          double largest = 0;
          for (Index k = 0; k < segment.size(); ++k)
            largest = std::max(largest, std::abs(as_double(segment.coeff(k))));
          if (!(largest > 0)) return;  // a NaN is found by the check of the step
          double sum = 0;
          for (Index k = 0; k < segment.size(); ++k) {
            const double part = as_double(segment.coeff(k)) / largest;
            sum += part * part;
          }
          norm = std::hypot(norm, largest * std::sqrt(sum));
        });
    };
    add(values);
    add(bf16);
    return norm;
  }
};

}}}  // namespace symopt::detail
