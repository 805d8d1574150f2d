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
  /// With `more_shapes`, what holds on the shapes of the options is tried on these, too.
  RuleClassifier(const AnyRule& rule, CheckOptions options, std::vector<Shape> more_shapes)
      : rule_(rule), options_(std::move(options)), more_shapes_(std::move(more_shapes)) {}

 private:
  Verdict verdict(Law law, const AnyGroup& group) override {
    law.stops_at_first_failure = true;
    const Verdict found = add(check_law(law, group, rule_, options_));
    if (found != Verdict::holds || more_shapes_.empty()) return found;
    CheckOptions longer = options_;
    longer.shapes = more_shapes_;
    longer.trials = 4;
    if (longer.inputs.empty()) longer.inputs = {"gaussian", "integers"};
    Report report = check_law(law, group, rule_, longer);
    return report.verdict == Verdict::violated ? add(std::move(report)) : found;
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
  std::vector<Shape> more_shapes_;
};

SYMOPT_CHECK_INLINE Classification classify(const AnyRule& rule, CheckOptions options, int head_size) {
  std::vector<Shape> longer;
  if (options.shapes.empty()) {
    options.shapes = classification_shapes(head_size);
    longer = longer_classification_shapes(head_size);
  }
  const std::string name = options.name.empty() ? rule.name : options.name;
  return RuleClassifier(rule, std::move(options), std::move(longer)).run(name, head_size);
}

}  // namespace detail
#endif

}}}  // namespace symopt::check
