// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "support/user_groups.hpp"

#include <symopt/group/named_groups.hpp>
#include <symopt/group/order.hpp>

#include <tuple>

// The lists of groups that the suites run over.
namespace symopt_test {

using namespace symopt;  // names of groups only

using SimpleGroups =
    std::tuple<Trivial, LeftOrthogonal, RightOrthogonal, RowPermutation, ColumnPermutation,
               SignedRowPermutation, SignedColumnPermutation, SharedShift, ColumnShift,
               HeadRotations<Side::left, 1>, HeadRotations<Side::right, 1>, HeadRotations<Side::left, 2>,
               HeadRotations<Side::right, 2>, HeadRotations<Side::left, 3>, HeadRotations<Side::right, 3>>;

using ParameterClasses =
    std::tuple<HiddenMatrix, Embedding, TiedEmbedding, LmHead, SwigluInput, SwigluOutput, Router>;

using ProductGroups =
    std::tuple<Product<>, BiOrthogonal, Product<LeftOrthogonal, SignedColumnPermutation>,
               Product<SignedRowPermutation, SignedColumnPermutation>,
               Product<HeadRotations<Side::left, 3>, RightOrthogonal>,
               Product<LeftOrthogonal, HeadRotations<Side::right, 2>>,
               Product<LeftOrthogonal, ColumnPermutation, ColumnShift>,
               Product<RowPermutation, ColumnPermutation, SharedShift, ColumnShift>,
               Product<SharedShift, ColumnShift>, Product<SharedShift, RightOrthogonal, RowPermutation>,
               Product<Product<RowPermutation, RightOrthogonal>, Product<SharedShift>>,
               Product<Embedding, SharedShift>, Product<Product<>, Trivial>>;

/// Groups with a user's factor for which an update is derived, and those for which no shipped rule holds.
using UserGroups = std::tuple<CyclicRows, Product<CyclicRows, RightOrthogonal, SharedShift>>;
using ScalingGroups = std::tuple<RowScalings, Product<RowScalings, ColumnScalings>,
                                 Product<RowScalings, ColumnPermutation, ColumnShift>>;

template <class... Tuples>
using join_t = decltype(std::tuple_cat(std::declval<Tuples>()...));

using UpdateGroups = join_t<SimpleGroups, ParameterClasses, ProductGroups, UserGroups>;
using AllGroups = join_t<UpdateGroups, ScalingGroups>;

/// A group and the scalar to try it in.
template <class Group, class Number>
struct Case {
  using group = Group;
  using scalar = Number;
};

namespace detail {
template <class Tuple>
struct InBothScalars;
template <class... Groups>
struct InBothScalars<std::tuple<Groups...>> {
  using type = std::tuple<Case<Groups, float>..., Case<Groups, double>...>;
};
}  // namespace detail

template <class Tuple>
using in_both_scalars_t = typename detail::InBothScalars<Tuple>::type;

/// visit.operator()<Group>() for every group of a list.
template <class Tuple>
void for_each_type(auto visit) {
  [&]<class... Ts>(std::type_identity<std::tuple<Ts...>>) {
    (visit.template operator()<Ts>(), ...);
  }(std::type_identity<Tuple>{});
}

}  // namespace symopt_test
