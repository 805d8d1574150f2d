// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/group/head_rotations.hpp>
#include <symopt/group/orthogonal.hpp>
#include <symopt/group/product.hpp>
#include <symopt/group/shift.hpp>
#include <symopt/group/signed_permutation.hpp>

#include <boost/hana/at.hpp>
#include <boost/hana/flatten.hpp>
#include <boost/hana/length.hpp>
#include <boost/hana/unpack.hpp>

namespace symopt { inline namespace SYMOPT_ABI {

/// G is a subgroup of H, for blocks of every size. Decided on generator families; for a user's group
/// through its bound: what is contained there is contained (sound), and no group but itself and the
/// trivial one is claimed to lie inside a user's group.
template <class G, class H>
inline constexpr bool is_subgroup_v = families_of<H>.contains(families_of<G>);
/// Into a user's group: only itself and the trivial group.
template <class G, detail::StatesBound H>
inline constexpr bool is_subgroup_v<G, H> = std::same_as<G, H> || families_of<G> == Families{};

namespace detail {

template <Side side, SideFamilies families>
constexpr auto linear_group() {
  if constexpr (families.rotations) {
    return hana::tuple_t<Orthogonal<side>>;
  } else if constexpr (families.block_rotations > 0 &&
                       families.has_block_permutations(families.block_rotations)) {
    return hana::tuple_t<HeadRotations<side, families.block_rotations>>;
  } else if constexpr (families.has_permutations() && families.has_signs()) {
    return hana::tuple_t<SignedPermutation<side>>;
  } else if constexpr (families.has_permutations()) {
    return hana::tuple_t<Permutation<side>>;
  } else {
    return hana::tuple<>{};
  }
}

template <Side side, SideFamilies families>
constexpr auto shift_group() {
  if constexpr (families.translations) {
    return hana::tuple_t<Shift<side>>;
  } else {
    return hana::tuple<>{};
  }
}

template <Families families>
constexpr auto shipped_group() {
  constexpr auto factors = hana::flatten(
      hana::make_tuple(linear_group<Side::left, families.left>(), linear_group<Side::right, families.right>(),
                       shift_group<Side::left, families.left>(), shift_group<Side::right, families.right>()));
  constexpr std::size_t count = decltype(hana::length(factors))::value;
  if constexpr (count == 0) {
    return hana::type_c<Trivial>;
  } else if constexpr (count == 1) {
    return hana::at_c<0>(factors);
  } else {
    return hana::unpack(factors, hana::template_<Product>);
  }
}

}  // namespace detail

/// The largest shipped group contained in both G and H, a product in the order left, right, shared
/// shift, column shift. Families that no shipped group has alone (signs without permutations) are dropped:
/// a lower bound, like every meet here.
template <class G, class H>
using meet_t = typename decltype(detail::shipped_group<detail::meet(families_of<G>, families_of<H>)>())::type;

}}  // namespace symopt
