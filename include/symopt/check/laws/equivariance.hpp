// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/check/check_law.hpp>

#include <random>
#include <utility>

namespace symopt { inline namespace SYMOPT_ABI { namespace check {

namespace detail {

Law equivariance_law(const AnyGroup& group);
Report check_equivariance(const AnyGroup& group, const AnyRule& rule, CheckOptions options);

/// The report on a rule that should fail the check.
Report negative_control(Report report);

}  // namespace detail

/// Under a group whose type is hidden: one of the one-sided groups of classify, or a user's own AnyGroup.
template <class Rule>
Report check_equivariance(const AnyGroup& group, const Rule& rule, CheckOptions options = {}) {
  return detail::check_equivariance(group, any_rule(rule), std::move(options));
}

/// Is U(gW, g_* G) = Dg U(W, G)? Tries every generator of the group, and `trials` random elements, on inputs
/// of every kind: in general position, ill-conditioned, rank-deficient, tied, zero, integers.
/// Rule: an Update, a normalization, any callable on a matrix or on weights and gradient, a stateful rule, or
/// what makes an optimizer; see AnyRule. Cost: seven calls of the rule for each pair of a generator and a
/// kind of input, one of them in float, and fourteen for each random trial: under a second for one block of
/// 16 x 24 at -O1. Errors: std::invalid_argument for shapes without entries and unknown kinds of inputs.
/// While a failure is made small the rule is called on smaller blocks, which it may refuse by
/// std::invalid_argument: say, for want of heads.
template <SymmetryGroup Group, class Rule>
Report check_equivariance(const Rule& rule, CheckOptions options = {}) {
  return check_equivariance(ErasedGroup<Group>(), rule, std::move(options));
}

/// A negative control: holds when the rule is violated under the group by at least a hundredth of its output.
/// A rule whose output cannot be compared, being not finite, of another shape or another one at each call, is
/// none: violated.
/// The rule, options and cost of check_equivariance.
template <class Rule>
Report expect_violation(const AnyGroup& group, const Rule& rule, CheckOptions options = {}) {
  return detail::negative_control(check_equivariance(group, rule, std::move(options)));
}
/// A negative control under a group that is named by its type.
template <SymmetryGroup Group, class Rule>
Report expect_violation(const Rule& rule, CheckOptions options = {}) {
  return expect_violation(ErasedGroup<Group>(), rule, std::move(options));
}

#ifdef SYMOPT_CHECK_DEFINITIONS
SYMOPT_CHECK_INLINE detail::Law detail::equivariance_law(const AnyGroup& group) {
  return {.name = "equivariance",
          .violation = "the step after a move is not the moved step",
          .of_moved = "the step after the move",
          .should_be = "the step, moved",
          .generators = [&group](Shape shape) { return generator_motions(group, shape); },
          .random =
              [&group](Shape shape, std::mt19937_64& engine) {
                return motion_of(group, group.random(shape, engine), "random element");
              },
          .simple_moves = [&group](Shape shape) { return simple_moves(group, shape); }};
}

SYMOPT_CHECK_INLINE Report detail::check_equivariance(const AnyGroup& group, const AnyRule& rule,
                                                      CheckOptions options) {
  return check_law(equivariance_law(group), group, rule, std::move(options));
}

SYMOPT_CHECK_INLINE Report detail::negative_control(Report report) {
  const bool is_clear = report.counterexample && report.counterexample->error >= clear_violation;
  report.law = "violation of " + report.law;
  if (report.verdict == Verdict::violated && report.is_defect) {
    report.reason = "no violation that can be measured: " + report.reason;
  } else if (report.verdict == Verdict::violated) {
    report.verdict = is_clear ? Verdict::holds : Verdict::inconclusive;
    report.reason = is_clear ? "" : "the violation is less than a hundredth of the output";
  } else if (report.verdict == Verdict::holds) {
    report.verdict = Verdict::violated;
    report.reason = "the rule is equivariant under the group";
  }
  return report;
}
#endif

}}}  // namespace symopt::check
