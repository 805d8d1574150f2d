// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/check/law_check.hpp>
#include <symopt/normalization/horizontal_projection.hpp>

#include <random>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace symopt { inline namespace SYMOPT_ABI { namespace check {

namespace detail {

inline bool shifts(const AnyGroup& group, Side side) {
  return group.families().on(side).translations;
}

/// P of the group's shifts, one precision above the rule's.
inline WideMatrix horizontal_part(const AnyGroup& group, WideMatrix block) {
  if (block.size() == 0) return block;
  if (shifts(group, Side::left)) block.rowwise() -= block.colwise().mean().eval();
  if (shifts(group, Side::right)) block.colwise() -= block.rowwise().mean().eval();
  return block;
}

inline Motion::Map unmoved() {
  return [](const WideMatrix& block) { return block; };
}

/// H as a law of motions: a horizontal gradient that stays where it is has the step P U.
inline Law horizontal_law(const AnyGroup& group) {
  const auto project = [&group](const WideMatrix& block) { return horizontal_part(group, block); };
  const Motion motion{"horizontal gradient", unmoved(), unmoved(), project};
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
inline Motion shifted_gradient(Side side, const WideMatrix& line, std::string name) {
  return {std::move(name), unmoved(),
          [side, line](const WideMatrix& block) -> WideMatrix {
            if (side == Side::left) return block.rowwise() + line.row(0);
            return block.colwise() + line.col(0);
          },
          unmoved()};
}

/// I as a law of motions: each coordinate of the shift by one, and random shifts.
inline Law shift_law(const AnyGroup& group) {
  const auto generators = [&group](Shape shape) {
    std::vector<Motion> motions;
    for (const Side side : {Side::left, Side::right}) {
      if (!shifts(group, side)) continue;
      const Index size = line_count(shape, opposite(side));
      for (Index i = 0; i < size; ++i) {
        WideMatrix line = side == Side::left ? WideMatrix::Zero(1, size) : WideMatrix::Zero(size, 1);
        line(i) = 1;
        motions.push_back(
            shifted_gradient(side, line,
                             (side == Side::left ? "1 added to all of column " : "1 added to all of row ") +
                                 std::to_string(i)));
      }
    }
    return motions;
  };
  const auto random = [&group](Shape shape, std::mt19937_64& engine) {
    const bool has_both = shifts(group, Side::left) && shifts(group, Side::right);
    const bool is_left = has_both ? std::bernoulli_distribution()(engine) : shifts(group, Side::left);
    const Side side = is_left ? Side::left : Side::right;
    const Shape line = side == Side::left ? Shape{1, shape.cols} : Shape{shape.rows, 1};
    return shifted_gradient(side, widened(gaussian<double>(line, engine)), "random shift");
  };
  return {.name = "shift invariance",
          .violation = "a shift of the gradient changes the step",
          .of_moved = "the step of the shifted gradient",
          .should_be = "the step of the gradient",
          .generators = generators,
          .random = random};
}

inline Report run_shift_law(Law law, const AnyGroup& group, const AnyRule& rule, CheckOptions options) {
  if (!shifts(group, Side::left) && !shifts(group, Side::right))
    throw std::invalid_argument("symopt: " + law.name + " is about the shifts of a group, and " + group.name() +
                                " has none");
  return LawCheck(std::move(law), group, rule, std::move(options)).run();
}

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
  return detail::run_shift_law(detail::horizontal_law(group), group, any_rule(rule), std::move(options));
}
/// The same, the group named by its type.
template <SymmetryGroup Group, class Rule>
Report check_horizontal(const Rule& rule, CheckOptions options = {}) {
  detail::require_shift<Group>();
  return check_horizontal(ErasedGroup<Group>(), rule, std::move(options));
}

/// I: does a shift of the gradient leave the step, U(G + 1 a^T) = U(G) (and on the right)? With H, every step
/// is horizontal. The rule, options, cost and errors of check_horizontal.
template <class Rule>
Report check_shift_invariant(const AnyGroup& group, const Rule& rule, CheckOptions options = {}) {
  return detail::run_shift_law(detail::shift_law(group), group, any_rule(rule), std::move(options));
}
/// The same, the group named by its type.
template <SymmetryGroup Group, class Rule>
Report check_shift_invariant(const Rule& rule, CheckOptions options = {}) {
  detail::require_shift<Group>();
  return check_shift_invariant(ErasedGroup<Group>(), rule, std::move(options));
}

}}}  // namespace symopt::check
