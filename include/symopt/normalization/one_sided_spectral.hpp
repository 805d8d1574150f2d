// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/normalization/spectral.hpp>

namespace symopt { inline namespace SYMOPT_ABI {

/// Definition: the polar factor, as Spectral, through the Gram matrix of a fixed side. The map is the
/// same, f(X X^T) X = X f(X^T X); the side decides the cost, and which of the two spaces is never mixed.
/// Largest group: O(m) x O(n). Keeps horizontal blocks: both sides.
/// Cost and memory: those of the method, on the m x m (left) or the n x n (right) Gram.
/// Source: arXiv 2605.18106.
template <Side gram_side, polar::PolarMethod Method>
struct OneSidedSpectral {
  Method method{};  ///< how the polar factor is computed, with its options

  using largest_group = BiOrthogonal;
  static constexpr bool is_scale_free = true;
  static constexpr bool keeps_horizontal(Side) { return true; }

  template <class Scalar>
  struct Workspace : Method::template Workspace<Scalar> {
    explicit Workspace(Shape shape) : Method::template Workspace<Scalar>(shape, gram_side) {}
  };

  /// The method that a block of that shape gets, where it is chosen by shape.
  std::string method_for(Shape shape) const requires requires { Method::choice(shape, gram_side); }
  { return to_string(Method::choice(shape, gram_side)); }
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
  void apply(MatrixRef<Scalar> block, typename Method::template Workspace<Scalar>& workspace) const {
    method.template apply<Scalar>(block, gram_side, workspace);
  }
  /// block <- the rows of the polar factor, of a block of which other processes have the other rows.
  template <class Scalar, class Reduction>
  void apply(MatrixRef<Scalar> block, typename Method::template Workspace<Scalar>& workspace,
             const Reduction& reduction) const requires requires(const Method& by) {
    by.template apply<Scalar>(block, gram_side, workspace, reduction);
  }
  { detail::apply_to_rows<Scalar>(method, block, gram_side, workspace, reduction); }
  OneSidedSpectral<opposite(gram_side), Method> mirrored() const { return {method}; }
};

/// The polar factor through the Gram matrix of the rows, m x m.
template <polar::PolarMethod Method = DefaultPolar>
using LeftSpectral = OneSidedSpectral<Side::left, Method>;

/// The polar factor through the Gram matrix of the columns, n x n.
template <polar::PolarMethod Method = DefaultPolar>
using RightSpectral = OneSidedSpectral<Side::right, Method>;

}}  // namespace symopt
