// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/check/law_check.hpp>

namespace symopt::inline SYMOPT_ABI::check {

namespace detail {

inline Law equivariance_law(const AnyGroup& group) {
  return {.name = "equivariance",
          .violation = "the step of a moved gradient is not the moved step",
          .generators =
              [&group](Shape shape) {
                std::vector<Motion> motions;
                for (const auto& g : group.generators(shape))
                  motions.push_back(motion_of(group, g, "generator " + std::to_string(motions.size())));
                return motions;
              },
          .random =
              [&group](Shape shape, std::mt19937_64& engine) {
                return motion_of(group, group.random(shape, engine), "random element");
              },
          .simple_moves = [&group](Shape shape) { return simple_moves(group, shape); }};
}

}  // namespace detail

/// Is U(gW, g_* G) = Dg U(W, G)? Tries every generator of the group, and `trials` random elements, on inputs of
/// every kind: in general position, ill-conditioned, rank-deficient, tied, zero, integers.
/// Rule: an Update, a normalization, any callable on a matrix, or a stateful rule, without its optimizer.
/// Cost: ten calls of the rule for each trial; under a second for one block of 16 x 24 at -O1.
template <SymmetryGroup Group, class Rule>
Report check_equivariance(const Rule& rule, CheckOptions options = {}) {
  const ErasedGroup<Group> group;
  const AnyRule any = any_rule(rule);
  return detail::LawCheck(detail::equivariance_law(group), group, any, std::move(options)).run();
}

/// A negative control: holds when the rule is violated under the group by at least a hundredth of its output.
/// The same, the group named by its type.
template <SymmetryGroup Group, class Rule>
Report expect_violation(const Rule& rule, CheckOptions options = {}) {
  Report report = check_equivariance<Group>(rule, std::move(options));
  report.law = "violation";
  const bool is_clear =
      report.verdict == Verdict::violated && report.counterexample && report.counterexample->error >= 0.01;
  if (report.verdict == Verdict::violated) {
    report.verdict = is_clear ? Verdict::holds : Verdict::inconclusive;
    report.reason = is_clear ? "" : "the violation is less than a hundredth of the output";
  } else if (report.verdict == Verdict::holds) {
    report.verdict = Verdict::violated;
    report.reason = "the rule is equivariant under the group";
  }
  return report;
}

}  // namespace symopt::check
