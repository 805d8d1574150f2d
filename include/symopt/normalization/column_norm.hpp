// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/normalization/row_norm.hpp>

namespace symopt { inline namespace SYMOPT_ABI {

/// Definition: every column x of the block becomes x / (|x| + eps), and a zero column stays zero: the
/// row norm of the transposed block, with its divisors and remarks on eps.
/// Largest group: O(m) x signed permutations of the columns. Keeps horizontal blocks: left side only.
/// Cost: two reads and one write of the block.
/// Errors: std::invalid_argument for eps < 0. Source: arXiv 2605.18106.
struct ColumnNorm {
  double eps = 1e-8;                         ///< in the units of a column's norm
  Divisor divisor = Divisor::norm_plus_eps;  ///< of norm and eps

  using largest_group = Product<LeftOrthogonal, SignedColumnPermutation>;
  static constexpr bool is_scale_free = true;
  static constexpr bool keeps_horizontal(Side side) { return side == Side::left; }

  template <class Scalar>
  using Workspace = NoWorkspace;

  void options(auto&& field) {
    field("eps", eps);
    detail::show_divisor(divisor, field);
  }
  void validate() const { detail::validate_eps("ColumnNorm", eps); }
  /// The nominal size of an entry of the output; see root_mean_square.hpp.
  double root_mean_square(Shape shape) const { return 1 / std::sqrt(static_cast<double>(shape.rows)); }
  template <class Derived>
  Matrix<typename Derived::Scalar> operator()(const Eigen::MatrixBase<Derived>& block) const {
    return applied(*this, block);
  }
  template <class Scalar>
  void apply(MatrixRef<Scalar> block, NoWorkspace&) const {
    kernel::normalize_columns(detail::BlockView<Scalar>(block), {eps, divisor});
  }
  RowNorm mirrored() const { return {.eps = eps, .divisor = divisor}; }
};

inline ColumnNorm RowNorm::mirrored() const {
  return {.eps = eps, .divisor = divisor};
}

}}  // namespace symopt
