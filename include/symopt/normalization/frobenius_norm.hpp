// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/group/product.hpp>
#include <symopt/kernel/normalize.hpp>
#include <symopt/normalization/apply.hpp>

#include <cmath>

namespace symopt { inline namespace SYMOPT_ABI {

/// Definition: X -> X / |X|_F, and 0 -> 0. Homogeneous of degree 0.
/// Largest group: O(m) x O(n). Keeps horizontal blocks: both sides.
/// Cost: two reads and one write of the block.
struct FrobeniusNorm {
  using largest_group = BiOrthogonal;
  static constexpr bool is_scale_free = true;
  static constexpr bool keeps_horizontal(Side) { return true; }

  template <class Scalar>
  using Workspace = NoWorkspace;

  template <class Derived>
  Matrix<typename Derived::Scalar> operator()(const Eigen::MatrixBase<Derived>& block) const {
    return applied(*this, block);
  }
  template <class Scalar>
  void apply(MatrixRef<Scalar> block, NoWorkspace&, const auto&... reduction) const {
    kernel::normalize_block(detail::BlockView<Scalar>(block), reduction...);
  }
  /// The nominal size of an entry of the output; see root_mean_square.hpp.
  double root_mean_square(Shape shape) const {
    return 1 / std::sqrt(static_cast<double>(shape.rows) * static_cast<double>(shape.cols));
  }
  FrobeniusNorm mirrored() const { return {}; }
};

}}  // namespace symopt
