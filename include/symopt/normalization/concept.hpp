// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/group/concept.hpp>
#include <symopt/matrix.hpp>

#include <concepts>

namespace symopt { inline namespace SYMOPT_ABI {

namespace detail {

/// The families of generators under which a map is equivariant, as it claims them: `families`, or
/// those of its `largest_group`.
template <class Map>
concept StatesLargestGroup = requires {
  { Map::families } -> std::convertible_to<Families>;
}
|| requires {
  typename Map::largest_group;
};

/// The families under which a map claims to be equivariant.
///@{
template <StatesLargestGroup Map>
constexpr Families claimed_families_of() {
  if constexpr (requires { Map::families; }) {
    return Map::families;
  } else {
    return families_of<typename Map::largest_group>;
  }
}

template <StatesLargestGroup Map>
inline constexpr Families claimed_families = claimed_families_of<Map>();
///@}

/// A map that works in the memory it is given: apply(block, workspace), with the workspace made once
/// from the block's shape. Every shipped map does, so that an optimizer allocates once.
template <class Map, class Scalar>
concept InPlaceMap = requires(const Map& map, MatrixRef<Scalar> block,
                              typename Map::template Workspace<Scalar>& workspace) {
  typename Map::template Workspace<Scalar>;
  requires std::constructible_from<typename Map::template Workspace<Scalar>, Shape>;
  map.apply(block, workspace);
};

/// A map that works in place on the rows of a block that one process has, where others have the rest: it is
/// handed a reduction for what depends on all of them (kernel/reduction.hpp), or does without. Its workspace
/// is that of the whole block.
template <class Map, class Scalar, class Reduction>
concept SplitMap = requires(const Map& map, MatrixRef<Scalar> block,
                            typename Map::template Workspace<Scalar>& workspace, const Reduction& reduction) {
  map.apply(block, workspace, reduction);
};

/// A map that is called with a dense expression and returns one of the same size.
template <class Map, class Scalar>
concept CallableMap = requires(const Map& map, const Matrix<Scalar>& block) {
  { map(block).rows() } -> std::convertible_to<Index>;
  requires std::same_as<typename std::remove_cvref_t<decltype(map(block))>::Scalar, Scalar>;
};

}  // namespace detail

/// A normalization: a map from a block to a block of the same shape that a group commutes with.
///
/// Minimal definition:
///   largest_group                 the largest group under which the map is equivariant (or `families`)
///   map(block)                    for any dense Eigen expression
/// Optional:
///   keeps_horizontal(side)        constexpr; 1^T X = 0 implies 1^T map(X) = 0 (left), X 1 = 0 implies
///                                 map(X) 1 = 0 (right). Absent means no: the projection is repeated.
///   Workspace<Scalar>(shape) and apply(block, workspace)    the same map in place, without allocation
///   mirrored()                    the map X -> map(X^T)^T; its workspace for the transposed shape is
///                                 the map's own
///   validate()                    throws std::invalid_argument on an option out of range
///
/// Laws: map(g_* X) = Dg map(X) for every g of the largest group; map(0) = 0.
///
/// Models: every header of this folder.
template <class N>
concept Normalization = detail::StatesLargestGroup<N> &&
    (detail::CallableMap<N, float> || detail::CallableMap<N, double>);

namespace detail {

/// Tests whether the map is known to keep horizontal blocks horizontal.
template <class Map>
constexpr bool keeps_horizontal(Side side) {
  if constexpr (requires { Map::keeps_horizontal(side); }) {
    return Map::keeps_horizontal(side);
  } else {
    return false;
  }
}

}  // namespace detail

}}  // namespace symopt
