// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/check/any_rule.hpp>
#include <symopt/check/laws/classification.hpp>

#include <optional>
#include <random>
#include <utility>

namespace symopt { inline namespace SYMOPT_ABI { namespace check {

namespace detail {

Classification classify(const AnyRule& rule, CheckOptions options, int head_size);

}  // namespace detail

/// The row of an unknown rule in the table of docs/derivation.md: its largest group on either side among the
/// kinds of GeneratorKind, E, H and I under a shift of the rows, and its degree of homogeneity. With
/// head_size, also the rotations within heads of so many lines; the shapes are then whole heads. Rule: that
/// of check_equivariance; E tells something of rules that see weights. A rule with a state is seen in three
/// steps with one gradient, which may hide what its state does: classify_optimizer gives it others. Every
/// entry is the verdict of a check and holds as far as that: of the groups that are not tried, nothing is
/// said. The reports stop at the first failure. Cost: that of a dozen checks, on small shapes.
template <class Rule>
Classification classify(const Rule& rule, CheckOptions options = {}, int head_size = 0) {
  return detail::classify(any_rule(rule), std::move(options), head_size);
}

#ifdef SYMOPT_CHECK_DEFINITIONS
namespace detail {

/// Checks a rule under one group and law after the other, for the verdicts.
class RuleClassifier final : public Classifier {
 public:
  RuleClassifier(const AnyRule& rule, CheckOptions options) : rule_(rule), options_(std::move(options)) {}

 private:
  Verdict verdict(Law law, const AnyGroup& group) override {
    law.stops_at_first_failure = true;
    return add(check_law(law, group, rule_, options_));
  }

  Verdict equivariant(const AnyGroup& shift) override {
    const Verdict found = verdict(equivariance_law(shift), shift);
    // The gradient does not move under a shift of the weights.
    const bool changes = row().horizontal != Verdict::vacuous || row().shift_invariant != Verdict::vacuous;
    return !rule_.sees_weights && changes ? Verdict::holds : found;
  }

  std::optional<double> shown_degree() const override {
    constexpr int doublings = 10;
    const Precision precision = rule_.precision();
    std::mt19937_64 engine = engine_for(options_.seed, "degree");
    const WideMatrix weights = rounded_to(precision, gaussian<Wide>(options_.shapes.back(), engine));
    const WideMatrix gradient = rounded_to(precision, gaussian<Wide>(options_.shapes.back(), engine));
    const auto size = [&](int scale) {
      return norm(direction_of(rule_, precision, weights, times(scale)(gradient)));
    };
    return degree_shown(size(1), size(1 << doublings), doublings, 16 * roundoff(precision));
  }
  bool asks_for_exact_degree() const override { return true; }

  const AnyRule& rule_;
  CheckOptions options_;
};

SYMOPT_CHECK_INLINE Classification classify(const AnyRule& rule, CheckOptions options, int head_size) {
  if (options.shapes.empty()) options.shapes = classification_shapes(head_size);
  const std::string name = options.name.empty() ? rule.name : options.name;
  return RuleClassifier(rule, std::move(options)).run(name, head_size);
}

}  // namespace detail
#endif

}}}  // namespace symopt::check
