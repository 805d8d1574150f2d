// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/bfloat16.hpp>
#include <symopt/memory/gradient_view.hpp>
#include <symopt/memory/overlap.hpp>
#include <symopt/memory/row_mask.hpp>

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

  /// Tests whether the rows of these blocks pass `test`; true where there is no gradient.
  bool pass(const std::vector<std::size_t>& numbers, const RowMask& mask,
            bool (*test)(const kernel::GradientView<Scalar>&)) const {
    return count() == 0 || std::ranges::all_of(numbers, [&](std::size_t b) { return test(view(b, mask)); });
  }

  /// The Frobenius norm of a block, without overflow or underflow of squares, times `scale`.
  double norm(std::size_t b, const RowMask& mask, double scale) const {
    double norm = 0;
    const auto add = [&](const auto& block) {
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
        norm = std::hypot(norm, largest * scale * std::sqrt(sum));
      });
    };
    bf16.empty() ? add(values[b]) : add(bf16[b]);
    return norm;
  }
};

/// Gradients times a factor, in memory of their own: the trainer's are only read.
template <class Scalar>
class ScaledGradient {
 public:
  void clear() { entries_.clear(); }
  /// Room for blocks of these shapes, before they are added.
  void reserve(const std::vector<Shape>& shapes) {
    Index count = 0;
    for (const Shape shape : shapes) count += shape.rows * shape.cols;
    entries_.reserve(static_cast<std::size_t>(count));
  }
  BlockView<const Scalar> added(const kernel::GradientView<Scalar>& gradient, double factor) {
    const Shape shape = gradient.shape();
    const std::size_t first = entries_.size();
    for (Index i = 0; i < shape.rows; ++i)
      for (Index j = 0; j < shape.cols; ++j)
        entries_.push_back(static_cast<Scalar>(factor * static_cast<double>(gradient.at(i, j))));
    return {entries_.data() + first, {shape.rows, shape.cols}, {shape.cols, 1}};
  }

 private:
  std::vector<Scalar> entries_;
};

}}}  // namespace symopt::detail
