// SPDX-License-Identifier: Apache-2.0
#include "support/error.hpp"
#include "support/group_list.hpp"

#include <symopt/derive/admissible.hpp>

#include <doctest/doctest.h>

#include <vector>

namespace order_test { namespace {

using namespace symopt_test;

template <int size>
using LeftHeads = HeadRotations<Side::left, size>;
template <int size>
using RightHeads = HeadRotations<Side::right, size>;
using SignedRows = SignedRowPermutation;
using SignedColumns = SignedColumnPermutation;

/// Equal as groups: each inside the other.
template <class G, class H>
constexpr bool same_group = is_subgroup_v<G, H>&& is_subgroup_v<H, G>;

// What lies inside what, for blocks of every size; every line has its negative counterpart below.
static_assert(is_subgroup_v<Trivial, LeftOrthogonal>);
static_assert(is_subgroup_v<Trivial, Trivial>);
static_assert(is_subgroup_v<RowPermutation, SignedRows>);
static_assert(is_subgroup_v<RowPermutation, LeftOrthogonal>);
static_assert(is_subgroup_v<SignedRows, LeftOrthogonal>);
static_assert(is_subgroup_v<SignedColumns, RightOrthogonal>);
static_assert(is_subgroup_v<LeftHeads<2>, LeftOrthogonal>);
static_assert(is_subgroup_v<LeftHeads<1>, SignedRows> && is_subgroup_v<SignedRows, LeftHeads<1>>);
static_assert(is_subgroup_v<LeftOrthogonal, BiOrthogonal>);
static_assert(is_subgroup_v<Embedding, BiOrthogonal>);
static_assert(is_subgroup_v<Embedding, LmHead>);
static_assert(is_subgroup_v<SharedShift, LmHead>);
static_assert(is_subgroup_v<RowPermutation, Router>);
static_assert(is_subgroup_v<SwigluOutput, HiddenMatrix>);
static_assert(is_subgroup_v<Product<RowPermutation, SharedShift>, LmHead>);
static_assert(is_subgroup_v<CyclicRows, RowPermutation>);
static_assert(is_subgroup_v<CyclicRows, LeftOrthogonal>);
static_assert(is_subgroup_v<CyclicRows, LmHead>);
static_assert(is_subgroup_v<CyclicRows, CyclicRows>);
static_assert(is_subgroup_v<Trivial, CyclicRows>);
static_assert(same_group<Embedding, TiedEmbedding> && same_group<LmHead, Router>);
static_assert(same_group<HiddenMatrix, BiOrthogonal>);
static_assert(same_group<Product<>, Trivial> && same_group<Product<LeftOrthogonal>, LeftOrthogonal>);
static_assert(same_group<Product<Embedding, SharedShift>, LmHead>);
static_assert(same_group<Product<SharedShift, RightOrthogonal, RowPermutation>, LmHead>);
static_assert(is_subgroup_v<RowScalings, Product<RowScalings, ColumnScalings>>);

static_assert(!is_subgroup_v<LeftOrthogonal, Trivial>);
static_assert(!is_subgroup_v<SharedShift, Trivial>);
static_assert(!is_subgroup_v<SignedRows, RowPermutation>);
static_assert(!is_subgroup_v<LeftOrthogonal, RowPermutation>);
static_assert(!is_subgroup_v<LeftOrthogonal, SignedRows>);
static_assert(!is_subgroup_v<SignedColumns, LeftOrthogonal>);
static_assert(!is_subgroup_v<LeftOrthogonal, LeftHeads<2>>);
static_assert(!is_subgroup_v<LeftHeads<1>, RowPermutation>);
static_assert(!is_subgroup_v<RowPermutation, LeftHeads<2>>);
static_assert(!is_subgroup_v<LeftHeads<2>, SignedRows>);
static_assert(!is_subgroup_v<LeftHeads<2>, LeftHeads<4>>);  // exchanges halves of two heads
static_assert(!is_subgroup_v<LeftHeads<4>, LeftHeads<2>>);
static_assert(!is_subgroup_v<LeftHeads<2>, LeftHeads<3>>);
static_assert(!is_subgroup_v<LeftHeads<2>, RightHeads<2>>);
static_assert(!is_subgroup_v<LeftOrthogonal, RightOrthogonal>);
static_assert(!is_subgroup_v<BiOrthogonal, LeftOrthogonal>);
static_assert(!is_subgroup_v<BiOrthogonal, Embedding>);
static_assert(!is_subgroup_v<LmHead, Embedding>);
static_assert(!is_subgroup_v<LmHead, BiOrthogonal>);
static_assert(!is_subgroup_v<SharedShift, ColumnShift>);
static_assert(!is_subgroup_v<ColumnShift, LmHead>);
static_assert(!is_subgroup_v<SwigluOutput, SwigluInput>);
static_assert(!is_subgroup_v<RowPermutation, CyclicRows>);  // a user's group contains what it is known to
static_assert(!is_subgroup_v<CyclicRows, ColumnPermutation>);
static_assert(!is_subgroup_v<CyclicRows, LeftHeads<2>>);
static_assert(!is_subgroup_v<RowScalings, LeftOrthogonal>);
static_assert(!is_subgroup_v<RowPermutation, RowScalings>);
static_assert(!is_subgroup_v<RowScalings, ColumnScalings>);

// The largest shipped group inside both.
template <class G, class H, class Expected>
constexpr bool meet_is = std::same_as<meet_t<G, H>, Expected>&& std::same_as<meet_t<H, G>, Expected>;

static_assert(meet_is<LeftOrthogonal, SignedRows, SignedRows>);
static_assert(meet_is<LeftOrthogonal, LeftOrthogonal, LeftOrthogonal>);
static_assert(meet_is<SignedRows, RowPermutation, RowPermutation>);
static_assert(meet_is<LeftOrthogonal, LeftHeads<4>, LeftHeads<4>>);
static_assert(meet_is<LeftHeads<3>, LeftHeads<3>, LeftHeads<3>>);
static_assert(meet_is<BiOrthogonal, Embedding, Product<RowPermutation, RightOrthogonal>>);
static_assert(meet_is<Embedding, SwigluOutput, Product<RowPermutation, ColumnPermutation>>);
static_assert(meet_is<LmHead, Router, Product<RowPermutation, RightOrthogonal, SharedShift>>);
static_assert(meet_is<BiOrthogonal, LeftOrthogonal, LeftOrthogonal>);
static_assert(meet_is<LmHead, SharedShift, SharedShift>);
static_assert(meet_is<Product<SharedShift, ColumnShift>, ColumnShift, ColumnShift>);
static_assert(meet_is<CyclicRows, SignedRows, RowPermutation>);  // through its bound
// Nothing shipped in common.
static_assert(meet_is<LeftOrthogonal, RightOrthogonal, Trivial>);
static_assert(meet_is<LeftOrthogonal, SharedShift, Trivial>);
static_assert(meet_is<SharedShift, ColumnShift, Trivial>);
static_assert(meet_is<Trivial, BiOrthogonal, Trivial>);
static_assert(meet_is<LeftHeads<2>, RowPermutation, Trivial>);
static_assert(meet_is<LeftHeads<2>, SignedRows, Trivial>);
static_assert(meet_is<LeftHeads<2>, LeftHeads<4>, Trivial>);
static_assert(meet_is<LeftHeads<2>, RightHeads<2>, Trivial>);
static_assert(meet_is<RowScalings, LeftOrthogonal, Trivial>);
static_assert(!std::same_as<meet_t<LeftOrthogonal, SignedRows>, RowPermutation>);
static_assert(!std::same_as<meet_t<LmHead, Embedding>, LmHead>);

/// The facts of a group, without its type. User's groups have an order of their own and are left out.
struct Known {
  std::string name;
  Families families;
};

const std::vector<Known> groups = [] {
  std::vector<Known> all;
  for_each_type<join_t<SimpleGroups, ParameterClasses, ProductGroups, ScalingGroups>>([&]<class G>() {
    all.push_back({type_name<G>(), families_of<G>});
  });
  all.push_back({"heads of 4", LeftHeads<4>::families});
  all.push_back({"heads of 6", LeftHeads<6>::families});
  all.push_back({"heads of 12", LeftHeads<12>::families});
  all.push_back({"signs", families_on(Side::left, {.signs = true})});
  all.push_back(
      {"all families",
       families_on(Side::right, {.rotations = true, .positive_scalings = true, .translations = true})});
  return all;
}();

TEST_CASE("the order of groups is reflexive, antisymmetric and transitive") {
  for (const Known& a : groups) {
    CAPTURE(a.name);
    CHECK(a.families.contains(a.families));
    for (const Known& b : groups) {
      CHECK((a.families == b.families) ==
            (a.families.contains(b.families) && b.families.contains(a.families)));
      if (!a.families.contains(b.families)) continue;
      for (const Known& c : groups)
        if (b.families.contains(c.families)) {
          CAPTURE(b.name);
          CAPTURE(c.name);
          CHECK(a.families.contains(c.families));
        }
    }
  }
}

TEST_CASE("the meet of two sets of families is their largest common lower bound") {
  for (const Known& a : groups) {
    CAPTURE(a.name);
    CHECK(symopt::detail::meet(a.families, a.families) == a.families);
    for (const Known& b : groups) {
      CAPTURE(b.name);
      const Families common = symopt::detail::meet(a.families, b.families);
      CHECK(common == symopt::detail::meet(b.families, a.families));
      CHECK(a.families.contains(common));
      CHECK(b.families.contains(common));
      if (a.families.contains(b.families)) CHECK(common == b.families);
      for (const Known& c : groups) {
        CAPTURE(c.name);
        if (a.families.contains(c.families) && b.families.contains(c.families))
          CHECK(common.contains(c.families));
        CHECK(symopt::detail::meet(common, c.families) ==
              symopt::detail::meet(a.families, symopt::detail::meet(b.families, c.families)));
      }
    }
  }
}

TEST_CASE(
    "meet_t is a lower bound of every pair of groups, and a group itself where that contains the other") {
  int proper = 0;
  for_each_type<SimpleGroups>([&]<class G>() {
    for_each_type<join_t<SimpleGroups, ParameterClasses>>([&]<class H>() {
      using Meet = meet_t<G, H>;
      static_assert(SymmetryGroup<Meet>);
      static_assert(is_subgroup_v<Meet, G> && is_subgroup_v<Meet, H>);
      static_assert(std::same_as<Meet, meet_t<H, G>>);
      if constexpr (is_subgroup_v<G, H>) static_assert(same_group<Meet, G>);
      proper += !same_group<Meet, G> && !same_group<Meet, H>;
    });
  });
  CHECK(proper > 0);
}

TEST_CASE("combined families contain both and mirrored ones change sides") {
  for (const Known& a : groups) {
    CAPTURE(a.name);
    CHECK(symopt::detail::mirrored(symopt::detail::mirrored(a.families)) == a.families);
    CHECK(symopt::detail::mirrored(a.families).left == a.families.right);
    const Families shifted = symopt::detail::combined(a.families, SharedShift::families);
    CHECK(shifted.contains(a.families));
    CHECK(shifted.contains(SharedShift::families));
  }
  CHECK(families_of<LmHead> == symopt::detail::combined(families_of<Embedding>, families_of<SharedShift>));
  CHECK_FALSE(families_of<LmHead> == families_of<Embedding>);
}

TEST_CASE("a user's group has the families of its bound") {
  CHECK(families_of<CyclicRows> == families_of<RowPermutation>);
  CHECK(families_of<RowScalings>.left.positive_scalings);
  CHECK_FALSE(families_of<RowScalings>.left.has_permutations());
}

}}  // namespace order_test
