// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/check/check_law.hpp>
#include <symopt/error.hpp>

#include <random>
#include <string>
#include <utility>
#include <vector>

namespace symopt { inline namespace SYMOPT_ABI { namespace check {

namespace detail {

/// H as a law of motions: a horizontal gradient that stays where it is has the step P U.
Law horizontal_law(const AnyGroup& group);
/// I as a law of motions: each coordinate of the shift by one, and random shifts.
Law shift_law(const AnyGroup& group);
/// Errors: Error for a group without shifts.
Report check_shift_law(const Law& law, const AnyGroup& group, const AnyRule& rule, CheckOptions options);

template <class Group>
constexpr void require_shift() {
  static_assert(families_of<Group>.left.translations || families_of<Group>.right.translations,
                "this law is about the shifts of a group, and this group has none");
}

}  // namespace detail

/// H: do horizontal gradients have horizontal steps, 1^T G = 0 implies 1^T U = 0 (and on the right)? Tried on
/// inputs of every kind, projected. The rule, options and cost of check_equivariance. Errors:
/// std::invalid_argument for a group without shifts; at compile time where its type is known.
template <class Rule>
Report check_horizontal(const AnyGroup& group, const Rule& rule, CheckOptions options = {}) {
  return detail::check_shift_law(detail::horizontal_law(group), group, any_rule(rule), std::move(options));
}
/// H under a group that is named by its type.
template <SymmetryGroup Group, class Rule>
Report check_horizontal(const Rule& rule, CheckOptions options = {}) {
  detail::require_shift<Group>();
  return check_horizontal(ErasedGroup<Group>(), rule, std::move(options));
}

/// I: does a shift of the gradient leave the step, U(G + 1 a^T) = U(G) (and on the right)? With H, every step
/// is horizontal. The rule, options, cost and errors of check_horizontal.
template <class Rule>
Report check_shift_invariant(const AnyGroup& group, const Rule& rule, CheckOptions options = {}) {
  return detail::check_shift_law(detail::shift_law(group), group, any_rule(rule), std::move(options));
}
/// I under a group that is named by its type.
template <SymmetryGroup Group, class Rule>
Report check_shift_invariant(const Rule& rule, CheckOptions options = {}) {
  detail::require_shift<Group>();
  return check_shift_invariant(ErasedGroup<Group>(), rule, std::move(options));
}

#ifdef SYMOPT_CHECK_DEFINITIONS
namespace detail {

SYMOPT_CHECK_INLINE bool shifts(const AnyGroup& group, Side side) {
  return group.families().on(side).translations;
}

/// The block without its mean row (left) or column (right).
SYMOPT_CHECK_INLINE WideMatrix centred(WideMatrix block, Side side) {
  const Index count = extent(shape_of(block), side);
  for (Index k = 0; k < extent(shape_of(block), opposite(side)); ++k) {
    Wide total = 0;
    for (Index i = 0; i < count; ++i) total += entry_of_line(block, side, i, k);
    for (Index i = 0; i < count; ++i) entry_of_line(block, side, i, k) -= total / static_cast<Wide>(count);
  }
  return block;
}

/// P of the group's shifts, one precision above the rule's.
SYMOPT_CHECK_INLINE WideMatrix horizontal_part(const AnyGroup& group, WideMatrix block) {
  for (const Side side : {Side::left, Side::right})
    if (shifts(group, side)) block = centred(std::move(block), side);
  return block;
}

SYMOPT_CHECK_INLINE Law horizontal_law(const AnyGroup& group) {
  const auto project = [&group](const WideMatrix& block) { return horizontal_part(group, block); };
  Motion motion{"horizontal gradient", unmoved(), unmoved(), project};
  return {.name = "horizontal",
          .violation = "a horizontal gradient has a step that is not horizontal",
          .of_moved = "the step",
          .should_be = "its horizontal part",
          .generators = [motion](Shape) { return std::vector<Motion>{motion}; },
          .random = [motion](Shape, std::mt19937_64&) { return motion; },
          .prepare = project,
          .is_about_motion = false};
}

/// G + 1 a^T (left) or G + a 1^T (right), whose step is that of G.
SYMOPT_CHECK_INLINE Motion shifted_gradient(Side side, const WideMatrix& line, std::string name) {
  return {std::move(name), unmoved(),
          [side, line](WideMatrix block) {
            for (Index i = 0; i < extent(shape_of(block), side); ++i)
              for (Index k = 0; k < line.size(); ++k) entry_of_line(block, side, i, k) += line.data()[k];
            return block;
          },
          unmoved()};
}

SYMOPT_CHECK_INLINE std::vector<Motion> unit_shifts(const AnyGroup& group, Shape shape) {
  std::vector<Motion> motions;
  for (const Side side : {Side::left, Side::right}) {
    if (!shifts(group, side)) continue;
    const Index size = extent(shape, opposite(side));
    const std::string where = side == Side::left ? "column " : "row ";
    for (Index i = 0; i < size; ++i) {
      WideMatrix line = WideMatrix::Zero(1, size);
      line(0, i) = 1;
      motions.push_back(shifted_gradient(side, line, "1 added to all of " + where + std::to_string(i)));
    }
  }
  return motions;
}

SYMOPT_CHECK_INLINE Motion random_shift(const AnyGroup& group, Shape shape, std::mt19937_64& engine) {
  const bool has_both = shifts(group, Side::left) && shifts(group, Side::right);
  const bool is_left = has_both ? uniform_index(2, engine) == 0 : shifts(group, Side::left);
  const Side side = is_left ? Side::left : Side::right;
  const Shape line{1, extent(shape, opposite(side))};
  return shifted_gradient(side, widened(gaussian<double>(line, engine)), "random shift");
}

SYMOPT_CHECK_INLINE Law shift_law(const AnyGroup& group) {
  return {.name = "shift invariance",
          .violation = "a shift of the gradient changes the step",
          .of_moved = "the step of the shifted gradient",
          .should_be = "the step of the gradient",
          .generators = [&group](Shape shape) { return unit_shifts(group, shape); },
          .random = [&group](Shape shape,
                             std::mt19937_64& engine) { return random_shift(group, shape, engine); }};
}

SYMOPT_CHECK_INLINE Report check_shift_law(const Law& law, const AnyGroup& group, const AnyRule& rule,
                                           CheckOptions options) {
  symopt::detail::require(shifts(group, Side::left) || shifts(group, Side::right), [&] {
    return law.name + " is about the shifts of a group, and " + group.name() + " has none";
  });
  return check_law(law, group, rule, std::move(options));
}

}  // namespace detail
#endif

}}}  // namespace symopt::check
