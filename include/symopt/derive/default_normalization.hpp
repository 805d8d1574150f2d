// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/normalization/column_norm.hpp>
#include <symopt/normalization/identity.hpp>
#include <symopt/normalization/one_sided_spectral.hpp>
#include <symopt/normalization/per_head.hpp>
#include <symopt/normalization/row_norm.hpp>
#include <symopt/normalization/sign.hpp>
#include <symopt/normalization/spectral.hpp>

namespace symopt { inline namespace SYMOPT_ABI {

namespace detail {

/// No linear factor, no proposal.
struct NoProposal {
  static constexpr Families families{};
};

/// No rule for choosing between the two sides' proposals.
struct Undecided {};

/// The proposal of the linear factor of one side: the map U_A(M) = Pi_A(M M^T)^(-1/2) M of the algebra A
/// whose normaliser the factor is.
template <Side side, SideFamilies linear>
constexpr auto proposal() {
  if constexpr (linear.rotations) {
    return hana::type_c<OneSidedSpectral<side, DefaultPolar>>;
  } else if constexpr (linear.block_rotations > 0) {
    return hana::type_c<HeadSpectral<side, linear.block_rotations>>;
  } else if constexpr (linear.has_permutations() && side == Side::left) {
    return hana::type_c<RowNorm>;
  } else if constexpr (linear.has_permutations()) {
    return hana::type_c<ColumnNorm>;
  } else {
    return hana::type_c<NoProposal>;
  }
}

template <class Map>
inline constexpr bool proposes_v = !std::same_as<Map, NoProposal>;

/// The admissible one of two proposals with the smaller group; two with the same group are both the
/// polar factor, and two incomparable norms of rows and columns meet in Sign.
template <Families group, class Left, class Right>
constexpr auto choose(hana::basic_type<Left>, hana::basic_type<Right>) {
  constexpr Families left = claimed_families<Left>;
  constexpr Families right = claimed_families<Right>;
  if constexpr (!proposes_v<Left> && !proposes_v<Right>) {
    return hana::type_c<Identity>;
  } else if constexpr (!proposes_v<Right>) {
    return hana::type_c<Left>;
  } else if constexpr (!proposes_v<Left>) {
    return hana::type_c<Right>;
  } else if constexpr (left == right) {
    return hana::type_c<Spectral<>>;
  } else if constexpr (right.contains_linear(left) && left.contains_linear(group)) {
    return hana::type_c<Left>;
  } else if constexpr (left.contains_linear(right) && right.contains_linear(group)) {
    return hana::type_c<Right>;
  } else if constexpr (claimed_families<Sign>.contains_linear(group)) {
    return hana::type_c<Sign>;
  } else {
    return hana::type_c<Undecided>;
  }
}

template <Families families>
constexpr auto default_normalization() {
  return choose<families>(proposal<Side::left, families.left>(), proposal<Side::right, families.right>());
}

template <class Chosen>
struct RequireDecided {
  static_assert(!std::same_as<Chosen, Undecided>,
                "the two sides of this group propose different normalizations and neither is the finer "
                "one; name the normalization: Update<Group, Normalization>");
  using type = Chosen;
};

}  // namespace detail

/// The normalization that a group derives. Each side's linear factor proposes one map (rotations: the
/// polar factor; permutations, signed or not: the norm of rows or columns; head rotations: the polar
/// factor per head); of two, the admissible one with the smaller group is taken; both sides
/// permutations: Sign; no linear factor: Identity. See docs/derivation.md.
template <class Group>
using default_normalization_t = typename detail::RequireDecided<
    typename decltype(detail::default_normalization<families_of<Group>>())::type>::type;

}}  // namespace symopt
