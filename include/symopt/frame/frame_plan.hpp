// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/normalization/horizontal_projection.hpp>
#include <symopt/optimizer/rule.hpp>

namespace symopt { inline namespace SYMOPT_ABI { namespace detail {

/// The treatment of one side of a block by a frame average.
enum class Framing {
  none,    ///< the group does nothing there, or the rule commutes with what it does
  sort,    ///< the lines are sorted
  rotate,  ///< the block is seen from the eigenvectors of its Gram matrix
};

template <class Rule>
constexpr Families claim_or_nothing() {
  if constexpr (StatesLargestGroup<Rule>) {
    return claimed_families<Rule>;
  } else {
    return {};
  }
}

template <class Rule>
inline constexpr bool is_stateful_rule_v = StatefulRule<Rule, double> || StatefulRule<Rule, float>;

/// The symmetries of Group that the rule lacks, side by side, and the frames that supply them; decided at
/// compile time from the families that the rule claims.
template <class Group, class Rule>
struct FramePlan {
  static constexpr Families group = families_of<Group>;
  static constexpr Families rule = claim_or_nothing<Rule>();
  static constexpr bool is_stateful = is_stateful_rule_v<Rule>;

  static constexpr bool is_native(Side side) { return rule.on(side).contains_linear(group.on(side)); }
  static constexpr bool is_permutation(Side side) {
    const SideFamilies& moved = group.on(side);
    return moved.permutations && SideFamilies{.permutations = true}.contains_linear(moved);
  }
  static constexpr bool sorts(Side side) { return !is_native(side) && is_permutation(side); }

  /// Between rotations of both sides a stateless rule becomes a function of the singular values.
  static constexpr bool is_spectral = !is_stateful && group.left.rotations && group.right.rotations &&
                                      !(is_native(Side::left) && is_native(Side::right));

  static constexpr Framing on(Side side) {
    if (sorts(side)) return Framing::sort;
    // Rotations of the other side would change the order of sorted lines.
    if (group.on(side).rotations && (!is_native(side) || sorts(opposite(side)) || is_spectral))
      return Framing::rotate;
    return Framing::none;
  }
  static constexpr bool has(Framing framing) {
    return on(Side::left) == framing || on(Side::right) == framing;
  }

  static constexpr bool lacks_signs(Side side) {
    return on(side) == Framing::rotate && !rule.on(side).has_signs();
  }
  static constexpr bool averages_signs =
      !is_spectral &&
      (lacks_signs(Side::left) || lacks_signs(Side::right) || (has(Framing::rotate) && has(Framing::sort)));

  /// The norms of the lines of the other side do not change when this side turns: they tell equal singular
  /// values apart, unless the other side turns as well.
  static constexpr bool breaks_ties(Side side) {
    const auto turns = [](const SideFamilies& families) {
      return families.rotations || families.block_rotations > 0;
    };
    const Side other = opposite(side);
    return !turns(group.on(other)) && (on(other) == Framing::sort || !turns(rule.on(other)));
  }

  /// A rule that commutes with every rotation of the other side and with signed permutations of this one
  /// gives a multiple of the space of equal singular values, whatever its basis.
  static constexpr bool ties_do_not_matter(Side side) {
    return is_spectral || (!is_stateful && rule.on(opposite(side)).rotations &&
                           rule.on(side).has_permutations() && rule.on(side).has_signs());
  }

  static constexpr SideFamilies claim_on(Side side) {
    if (on(side) == Framing::rotate) return {.rotations = true};
    if (on(side) == Framing::sort) return {.permutations = true};
    if (on(opposite(side)) == Framing::sort) return {};
    SideFamilies kept = rule.on(side);
    if (on(opposite(side)) == Framing::rotate) kept.positive_scalings = false;
    return kept;
  }
  static constexpr Families claim = [] {
    Families all =
        meet(Families{claim_on(Side::left), claim_on(Side::right)}, horizontal_projection_t<Group>::families);
    all.left.translations = group.left.translations;
    all.right.translations = group.right.translations;
    return all;
  }();

  static constexpr bool has_frame(Side side) { return is_native(side) || on(side) != Framing::none; }
  static_assert(has_frame(Side::left) && has_frame(Side::right),
                "frame_average has frames for permutations and for rotations only; this rule does not claim "
                "the signed permutations, head rotations or scalings of the group, and there is no frame to "
                "make up for it; see docs/frame-averaging.md");
  static constexpr bool has_order(Side side) {
    return on(side) != Framing::sort || on(opposite(side)) == Framing::rotate ||
           !group.on(opposite(side)).is_linear();
  }
  static_assert(!has_frame(Side::left) || !has_frame(Side::right) ||
                    (has_order(Side::left) && has_order(Side::right)),
                "frame_average cannot sort the lines of one side while the group permutes the other: the "
                "order would change with it; take a rule that commutes with the permutations; see "
                "docs/frame-averaging.md");
};

/// The claim of a frame average, where it is one for every input in general position.
template <class Plan, bool is_claimed = !Plan::averages_signs>
struct FrameClaim {
  static constexpr Families families = Plan::claim;
};
template <class Plan>
struct FrameClaim<Plan, false> {};

}}}  // namespace symopt::detail
