// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/group/product.hpp>
#include <symopt/group/signed_permutation.hpp>
#include <symopt/kernel/normalize.hpp>
#include <symopt/normalization/apply.hpp>

namespace symopt { inline namespace SYMOPT_ABI {

/// Definition: every entry becomes its sign, with Sign(0) = 0 and Sign(NaN) = NaN. Homogeneous of degree 0.
/// Largest group: signed permutations of the rows and of the columns. Keeps horizontal blocks: neither
/// side. Cost: one read and one write of the block.
struct Sign {
  using largest_group = Product<SignedRowPermutation, SignedColumnPermutation>;
  static constexpr bool is_scale_free = true;
  static constexpr bool keeps_horizontal(Side) { return false; }

  template <class Scalar>
  using Workspace = NoWorkspace;

  template <class Derived>
  Matrix<typename Derived::Scalar> operator()(const Eigen::MatrixBase<Derived>& block) const {
    return applied(*this, block);
  }
  template <class Scalar>
  void apply(MatrixRef<Scalar> block, NoWorkspace&, const auto&...) const {
    kernel::take_signs(detail::BlockView<Scalar>(block));
  }
  /// The nominal size of an entry of the output; see root_mean_square.hpp.
  double root_mean_square(Shape) const { return 1; }
  Sign mirrored() const { return {}; }
};

}}  // namespace symopt
