// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/group/product.hpp>
#include <symopt/normalization/apply.hpp>

namespace symopt { inline namespace SYMOPT_ABI {

/// Definition: X -> X. Homogeneous of degree 1.
/// Largest group: O(m) x O(n). Keeps horizontal blocks: both sides. Cost: none.
struct Identity {
  using largest_group = BiOrthogonal;
  static constexpr bool keeps_horizontal(Side) { return true; }

  template <class Scalar>
  using Workspace = NoWorkspace;

  template <class Derived>
  Matrix<typename Derived::Scalar> operator()(const Eigen::MatrixBase<Derived>& block) const {
    return applied(*this, block);
  }
  template <class Scalar>
  void apply(const MatrixRef<Scalar>&, NoWorkspace&, const auto&...) const {}
  /// A bound on the entries of the output, from the bound `input` on those of the input.
  double largest_entry(Shape, double input) const { return input; }
  Identity mirrored() const { return {}; }
};

}}  // namespace symopt
