// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/kernel/mean.hpp>
#include <symopt/normalization/apply.hpp>

namespace symopt { inline namespace SYMOPT_ABI {

/// Definition: the orthogonal projection onto the horizontal space of the shifts on the given sides:
/// left subtracts the mean row, (I - 1 1^T / m) X; right the mean column, X (I - 1 1^T / n); none is
/// the identity. Means are summed in double.
/// Largest group among the shipped ones: permutations on the sides it projects, O(m) or O(n) on the
/// other. Keeps horizontal blocks: both sides. Cost: two reads and one write of the block per side.
template <Side... sides>
struct HorizontalProjection {
  /// Tests whether the mean line of that side is subtracted.
  static constexpr bool projects(Side side) { return (false || ... || (side == sides)); }
  /// The projection subtracts nothing.
  static constexpr bool is_identity = sizeof...(sides) == 0;

  static constexpr Families families = [] {
    const auto kept = [](bool centred) {
      return centred ? SideFamilies{.permutations = true} : SideFamilies{.rotations = true};
    };
    return Families{kept((false || ... || (sides == Side::left))),
                    kept((false || ... || (sides == Side::right)))};
  }();
  static constexpr bool keeps_horizontal(Side) { return true; }

  template <class Scalar>
  using Workspace = NoWorkspace;

  template <class Derived>
  Matrix<typename Derived::Scalar> operator()(const Eigen::MatrixBase<Derived>& block) const {
    return applied(*this, block);
  }
  template <class Scalar>
  void apply(MatrixRef<Scalar> block, NoWorkspace&, const auto&... reduction) const {
    if constexpr (projects(Side::left))
      kernel::subtract_mean_row(detail::BlockView<Scalar>(block), reduction...);
    if constexpr (projects(Side::right)) kernel::subtract_mean_column(detail::BlockView<Scalar>(block));
  }
  HorizontalProjection<opposite(sides)...> mirrored() const { return {}; }
};

namespace detail {

template <Families families>
constexpr auto horizontal_projection() {
  constexpr bool left = families.left.translations;
  constexpr bool right = families.right.translations;
  if constexpr (left && right) {
    return HorizontalProjection<Side::left, Side::right>{};
  } else if constexpr (left) {
    return HorizontalProjection<Side::left>{};
  } else if constexpr (right) {
    return HorizontalProjection<Side::right>{};
  } else {
    return HorizontalProjection<>{};
  }
}

}  // namespace detail

/// The projection that the translation factors of a group ask for.
template <class Group>
using horizontal_projection_t = decltype(detail::horizontal_projection<families_of<Group>>());

}}  // namespace symopt
