// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/group/product.hpp>
#include <symopt/normalization/apply.hpp>
#include <symopt/polar/automatic.hpp>

#include <algorithm>
#include <cmath>
#include <string>

namespace symopt { inline namespace SYMOPT_ABI {

namespace detail {

/// The side with the smaller Gram matrix; left for a square block.
constexpr Side smaller_gram(Shape shape) {
  return shape.rows <= shape.cols ? Side::left : Side::right;
}

/// The polar factor of the rows that one process has of a block, by the Gram matrix of that side. Where that
/// is of the rows, they are turned first: the process then has all rows of some columns.
template <class Scalar>
void apply_to_rows(const auto& method, MatrixRef<Scalar> block, Side gram_side, auto& workspace,
                   const auto& reduction) {
  const auto apply = [&](MatrixRef<Scalar> part) {
    method.template apply<Scalar>(part, gram_side, workspace, reduction);
  };
  if (gram_side == Side::left && reduction.is_split()) {
    reduction.turned(block, apply);
  } else {
    apply(block);
  }
}

/// The root mean square of the entries of a polar factor: r singular values of 1 among m n entries, where r
/// is the rank of blocks whose rows and columns span spaces of the dimensions `span`.
inline double root_mean_square_of_polar_factor(Shape shape, Shape span) {
  return std::sqrt(static_cast<double>(std::min(span.rows, span.cols)) /
                   (static_cast<double>(shape.rows) * static_cast<double>(shape.cols)));
}

}  // namespace detail

/// Definition: X -> (X X^T)^(-1/2) X = X (X^T X)^(-1/2), the polar factor as a partial isometry, 0 -> 0,
/// as far as the method's band goes. The smaller of the two Gram matrices is formed. Homogeneous of
/// degree 0 (as the method: those with an absolute eps are not).
/// Largest group: O(m) x O(n). Keeps horizontal blocks: both sides.
/// Cost and memory: those of the method, on the smaller Gram.
/// Source: arXiv 2605.18106; arXiv 2505.21799.
template <polar::PolarMethod Method = DefaultPolar>
struct Spectral {
  Method method{};  ///< how the polar factor is computed, with its options

  using largest_group = BiOrthogonal;
  static constexpr bool is_scale_free = true;
  static constexpr bool keeps_horizontal(Side) { return true; }

  template <class Scalar>
  struct Workspace : Method::template Workspace<Scalar> {
    explicit Workspace(Shape shape)
        : Method::template Workspace<Scalar>(shape, detail::smaller_gram(shape)) {}
  };

  /// The method that a block of that shape gets, where it is chosen by shape: "minimax, 3 terms".
  std::string method_for(Shape shape) const requires requires { Method::choice(shape, Side::left); }
  { return to_string(Method::choice(shape, detail::smaller_gram(shape))); }
  void validate() const { method.validate(); }
  /// The nominal size of an entry of the output; see root_mean_square.hpp.
  double root_mean_square(Shape shape, Shape span) const {
    return detail::root_mean_square_of_polar_factor(shape, span);
  }
  template <class Derived>
  Matrix<typename Derived::Scalar> operator()(const Eigen::MatrixBase<Derived>& block) const {
    return applied(*this, block);
  }
  template <class Scalar>
  void apply(MatrixRef<Scalar> block, Workspace<Scalar>& workspace) const {
    method.template apply<Scalar>(block, detail::smaller_gram(detail::shape_of(block)), workspace);
  }
  /// block <- the rows of the polar factor, of a block of which other processes have the other rows.
  template <class Scalar, class Reduction>
  void apply(MatrixRef<Scalar> block, Workspace<Scalar>& workspace, const Reduction& reduction) const requires
      requires(const Method& by) {
    by.template apply<Scalar>(block, Side::left, workspace, reduction);
  }
  {
    const Side side = detail::smaller_gram(reduction.whole(detail::shape_of(block)));
    detail::apply_to_rows<Scalar>(method, block, side, workspace, reduction);
  }
  Spectral mirrored() const { return *this; }
};

}}  // namespace symopt
