// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/check/any_pair.hpp>
#include <symopt/check/laws/equivariance.hpp>
#include <symopt/check/laws/trajectory.hpp>

#include <utility>

namespace symopt { inline namespace SYMOPT_ABI { namespace check {

namespace detail {

/// The condition up to which elements are drawn: a rule in float alone keeps its digits to 30.
constexpr double most_condition(Precision precision) {
  return precision == Precision::in_double ? 1e3 : 30;
}

/// The options with the shapes of pairs where none are given.
template <class G, class Options>
Options with_pair_shapes(Options options) {
  if (options.shapes.empty()) options.shapes = default_pair_shapes(ErasedPairGroup<G>::has_planes);
  return options;
}

}  // namespace detail

/// Is U(g x) = g U(x) for a rule of pairs, g not orthogonal? Tries every generator of the group, and `trials`
/// random elements of a condition up to 1e3, 30 for a rule in float alone.
/// Rule: a PairUpdate, or any callable as rule(a, b, gradient_a, gradient_b, direction_a, direction_b) that
/// writes the last two. Shapes: of A above B, (m + n) x r with m = n or one more; without any some with r up
/// to 6 and m, n >= r. A rule that returns PairRanks says by them where its result depends on the choice of
/// g; these inputs count as ill-posed. Cost and errors: those of check_equivariance of one block.
template <PairGroup Group, class Rule>
Report check_equivariance(const Rule& rule, CheckOptions options = {}) {
  const AnyRule any = detail::any_pair_rule(rule);
  return detail::check_equivariance(ErasedPairGroup<Group>(detail::most_condition(any.precision())), any,
                                    detail::with_pair_shapes<Group>(std::move(options)));
}

/// A negative control: holds when a rule of pairs is violated under the group by at least a hundredth of its
/// output.
template <PairGroup Group, class Rule>
Report expect_violation(const Rule& rule, CheckOptions options = {}) {
  return detail::negative_control(check_equivariance<Group>(rule, std::move(options)));
}

/// Is a whole optimizer of pairs equivariant, its momenta, damping and decay? Twin runs from a pair and from
/// the moved pair, as check_trajectory of one block. Factory: callable with a PairShape or with (m, n, r);
/// returns anything with step(a, gradient_a, b, gradient_b).
template <PairGroup Group, class Factory>
Report check_trajectory(const Factory& factory, TrajectoryOptions options = {}) {
  const AnyOptimizerFactory any = detail::any_pair_optimizer_factory(factory);
  const ErasedPairGroup<Group> group(detail::most_condition(any.precision));
  return detail::check_trajectory(detail::trajectory_law(group), group, any,
                                  detail::with_pair_shapes<Group>(std::move(options)));
}

}}}  // namespace symopt::check
