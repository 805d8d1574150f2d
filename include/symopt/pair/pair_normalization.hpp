// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/derive/admissible.hpp>
#include <symopt/derive/default_normalization.hpp>
#include <symopt/group/gauge.hpp>

namespace symopt { inline namespace SYMOPT_ABI {

namespace detail {

/// The families of an algebra's orthogonal elements, and of the orthogonal matrices that map it to itself;
/// all rotations for an algebra that does not say.
///@{
template <class A>
constexpr SideFamilies orthogonal_families() {
  if constexpr (requires { A::orthogonal; }) {
    return A::orthogonal;
  } else {
    return all_rotations;
  }
}
template <class A>
constexpr SideFamilies normaliser_families() {
  if constexpr (requires { A::normaliser; }) {
    return A::normaliser;
  } else {
    return all_rotations;
  }
}
///@}

/// The families that act on the rows of A or of B from outside: N is one map for both.
template <class PairGroup>
struct OuterRows {
  static constexpr Families families{combined(families_of<typename PairGroup::outer_of_a>.left,
                                              families_of<typename PairGroup::outer_of_b>.left),
                                     {}};
};

/// One static_assert for each kind of orthogonal element, so that the first line of the error is the reason;
/// those about the rows are RequireAdmissible's.
template <class PairGroup, class Normalization>
struct RequirePairAdmissible : RequireAdmissible<OuterRows<PairGroup>, Normalization> {
  static constexpr SideFamilies gauge = orthogonal_families<typename PairGroup::algebra>();
  static constexpr SideFamilies rule = RequireAdmissible<OuterRows<PairGroup>, Normalization>::rule.right;
  static constexpr bool claims = StatesLargestGroup<Normalization>;

  static_assert(!claims || !gauge.rotations || rule.rotations,
                "this normalization does not commute with the rotations of the columns that the gauge of the "
                "pair contains (algebra::Full); take Spectral, RowNorm, FrobeniusNorm or Identity; see "
                "docs/pairs.md");
  static_assert(!claims || gauge.block_rotations == 0 || rule.has_block_rotations(gauge.block_rotations),
                "this normalization does not commute with the rotations of two columns that the gauge of the "
                "pair contains (algebra::Planes); take HeadSpectral<Side::right, 2>, Spectral, RowNorm, "
                "FrobeniusNorm or Identity; see docs/pairs.md");
  static_assert(!claims || !gauge.signs || rule.has_signs(),
                "this normalization does not commute with the signs of columns that the gauge of the pair "
                "contains (algebra::Diagonal); take ColumnNorm or another one that does; see docs/pairs.md");
};

}  // namespace detail

/// The normalization that a group of pairs derives: the one of its outer groups on the rows and of the
/// normaliser of its algebra on the columns, by the rules of default_normalization_t. Under LeftOrthogonal:
/// Spectral for algebra::Full and algebra::Scalars, HeadSpectral<Side::right, 2> for algebra::Planes,
/// ColumnNorm for algebra::Diagonal.
template <class PairGroup>
using default_pair_normalization_t = typename detail::RequireDecided<
    typename decltype(detail::default_normalization<Families{
                          detail::OuterRows<PairGroup>::families.left,
                          detail::normaliser_families<typename PairGroup::algebra>()}>())::type>::type;

}}  // namespace symopt
