// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/normalization/concept.hpp>

namespace symopt { inline namespace SYMOPT_ABI {

/// Rule is equivariant under Group: the families of generators that it claims contain the linear
/// families of the group, on both sides. Translations do not move a gradient, so they make no map of
/// the gradient inadmissible; they add the horizontal projection.
template <class Rule, class Group>
concept Admissible = detail::StatesLargestGroup<Rule> && detail::claimed_families<Rule>
.contains_linear(families_of<Group>);

namespace detail {

/// One static_assert per family and side, so that the first line of the error is the reason.
template <class Group, class Rule>
struct RequireAdmissible {
  static constexpr Families group = families_of<Group>;
  static constexpr Families rule = [] {
    if constexpr (StatesLargestGroup<Rule>) {
      return claimed_families<Rule>;
    } else {
      return families_of<Group>;
    }
  }();

  static_assert(StatesLargestGroup<Rule>,
                "this normalization does not say under which group it is equivariant: give it a member "
                "type largest_group; see docs/adding-a-rule.md");

  static_assert(!group.left.rotations || rule.left.rotations,
                "this normalization is not equivariant under rotations of the rows (LeftOrthogonal); "
                "see docs/derivation.md");
  static_assert(!group.right.rotations || rule.right.rotations,
                "this normalization is not equivariant under rotations of the columns "
                "(RightOrthogonal); see docs/derivation.md");

  static_assert(group.left.block_rotations == 0 || rule.left.has_block_rotations(group.left.block_rotations),
                "this normalization is not equivariant under rotations within heads of rows "
                "(HeadRotations<Side::left, ...>); see docs/derivation.md");
  static_assert(group.right.block_rotations == 0 ||
                    rule.right.has_block_rotations(group.right.block_rotations),
                "this normalization is not equivariant under rotations within heads of columns "
                "(HeadRotations<Side::right, ...>); see docs/derivation.md");

  static_assert(group.left.block_permutations == 0 ||
                    rule.left.has_block_permutations(group.left.block_permutations),
                "this normalization is not equivariant under exchanges of heads of rows "
                "(HeadRotations<Side::left, ...>); see docs/derivation.md");
  static_assert(group.right.block_permutations == 0 ||
                    rule.right.has_block_permutations(group.right.block_permutations),
                "this normalization is not equivariant under exchanges of heads of columns "
                "(HeadRotations<Side::right, ...>); see docs/derivation.md");

  static_assert(!group.left.permutations || rule.left.has_permutations(),
                "this normalization is not equivariant under permutations of the rows "
                "(RowPermutation); see docs/derivation.md");
  static_assert(!group.right.permutations || rule.right.has_permutations(),
                "this normalization is not equivariant under permutations of the columns "
                "(ColumnPermutation); see docs/derivation.md");

  static_assert(!group.left.signs || rule.left.has_signs(),
                "this normalization is not equivariant under sign flips of the rows "
                "(SignedRowPermutation); see docs/derivation.md");
  static_assert(!group.right.signs || rule.right.has_signs(),
                "this normalization is not equivariant under sign flips of the columns "
                "(SignedColumnPermutation); see docs/derivation.md");

  static_assert(!group.left.positive_scalings || rule.left.positive_scalings,
                "this normalization is not equivariant under positive scalings of the rows; "
                "see docs/derivation.md");
  static_assert(!group.right.positive_scalings || rule.right.positive_scalings,
                "this normalization is not equivariant under positive scalings of the columns; "
                "see docs/derivation.md");
};

}  // namespace detail

}}  // namespace symopt
