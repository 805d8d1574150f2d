// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/divisor.hpp>
#include <symopt/error.hpp>
#include <symopt/finite.hpp>
#include <symopt/group/product.hpp>
#include <symopt/group/signed_permutation.hpp>
#include <symopt/kernel/normalize.hpp>
#include <symopt/normalization/apply.hpp>

#include <cmath>
#include <string>

namespace symopt { inline namespace SYMOPT_ABI {

namespace detail {

/// Throws unless eps is finite and not negative.
inline void validate_eps(const char* normalization, double eps) {
  if (!(eps >= 0.0) || !is_finite(eps))
    throw Error(std::string(normalization) + "::eps must be finite and not negative");
}

/// Shows the divisor among the options of a map, unless it is norm + eps: texts and files of states do not
/// name that one.
void show_divisor(Divisor divisor, auto&& field) {
  const int is_maximum = divisor == Divisor::max_of_norm_and_eps;
  if (is_maximum != 0) field("max_of_norm_and_eps", is_maximum);
}

}  // namespace detail

struct ColumnNorm;

/// Definition: every row x of the block becomes x / (|x| + eps), and a zero row stays zero; with
/// Divisor::max_of_norm_and_eps it becomes x / max(|x|, eps).
/// Homogeneous of degree 0 for eps = 0, over the whole range of the scalar. The default eps is the
/// published absolute 1e-8: rows much shorter than that shrink instead of being normalized, which
/// also lets a row that is no longer fed fade out sooner.
/// Largest group: signed permutations of the rows x O(n). Keeps horizontal blocks: right side only.
/// Cost: one read and one write of the block, with each row in cache.
/// Errors: std::invalid_argument for eps < 0. Source: arXiv 2605.18106.
struct RowNorm {
  double eps = 1e-8;                         ///< in the units of a row's norm
  Divisor divisor = Divisor::norm_plus_eps;  ///< of norm and eps

  using largest_group = Product<SignedRowPermutation, RightOrthogonal>;
  static constexpr bool is_scale_free = true;
  static constexpr bool keeps_horizontal(Side side) { return side == Side::right; }

  template <class Scalar>
  using Workspace = NoWorkspace;

  void options(auto&& field) {
    field("eps", eps);
    detail::show_divisor(divisor, field);
  }
  void validate() const { detail::validate_eps("RowNorm", eps); }
  /// The nominal size of an entry of the output; see root_mean_square.hpp.
  double root_mean_square(Shape shape) const { return 1 / std::sqrt(static_cast<double>(shape.cols)); }
  template <class Derived>
  Matrix<typename Derived::Scalar> operator()(const Eigen::MatrixBase<Derived>& block) const {
    return applied(*this, block);
  }
  template <class Scalar>
  void apply(MatrixRef<Scalar> block, NoWorkspace&, const auto&...) const {
    kernel::normalize_rows(detail::BlockView<Scalar>(block), {eps, divisor});
  }
  ColumnNorm mirrored() const;
};

}}  // namespace symopt

#include <symopt/normalization/column_norm.hpp>
