// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/check/evaluation.hpp>
#include <symopt/check/laws/pair.hpp>
#include <symopt/check/trials.hpp>

#include <algorithm>
#include <functional>
#include <random>
#include <string>
#include <utility>

namespace symopt { inline namespace SYMOPT_ABI { namespace check {

namespace detail {

/// The part of a pair of directions that moves along the gauge alone: U less its horizontal projection.
template <PairGroup G>
WideMatrix vertical_part(const WideMatrix& weights, const WideMatrix& direction) {
  using A = typename G::algebra;
  using Metric = symopt::detail::PairMetric<A>;
  StackedPair<double> w(converted<double>(weights)), u(converted<double>(direction));
  symopt::detail::PairBlocks<double> a, b;
  a.weights.emplace_back(symopt::detail::BlockView<double>(w.a));
  b.weights.emplace_back(symopt::detail::BlockView<double>(w.b));
  a.directions.emplace_back(u.a);
  b.directions.emplace_back(u.b);
  const Index rank = w.a.cols();
  Metric of_a(rank), of_b(rank);
  typename Metric::Scratch scratch(w.a.rows(), rank);
  of_a.compute(a, scratch);
  of_b.compute(b, scratch);
  symopt::detail::PairHorizontalProjection<A, double>(rank).project(a, b, of_a, of_b);
  return sum(direction, widened(u.stacked()), -1);
}

/// The trials of one law that a direction is to obey, part_of(weights, direction) = 0.
Report check_vanishing(const AnyRule& rule, const std::string& group,
                       const std::function<WideMatrix(const WideMatrix&, const WideMatrix&)>& part_of,
                       CheckOptions options);

}  // namespace detail

/// Are the directions of a rule of pairs orthogonal to the orbit of the gauge, in the metric of the pair? So
/// they are where the rule ends with the horizontal projection. Rule, shapes and cost: those of
/// check_equivariance, with blocks in general position. Weights are Gaussian.
template <PairGroup Group, class Rule>
Report check_horizontal(const Rule& rule, CheckOptions options = {}) {
  return detail::check_vanishing(detail::any_pair_rule(rule), symopt::detail::type_name<Group>(),
                                 detail::vertical_part<Group>,
                                 detail::with_pair_shapes<Group>(std::move(options)));
}

#ifdef SYMOPT_CHECK_DEFINITIONS
SYMOPT_CHECK_INLINE Report detail::check_vanishing(
    const AnyRule& rule, const std::string& group,
    const std::function<WideMatrix(const WideMatrix&, const WideMatrix&)>& part_of, CheckOptions options) {
  Trials trials({.law = "horizontal",
                 .rule = options.name.empty() ? rule.name : options.name,
                 .group = group,
                 .precision = to_string(rule.precision()),
                 .seed = options.seed});
  const Precision precision = rule.precision();
  for (const Shape shape : options.shapes)
    for (int t = 0; t < options.trials; ++t) {
      const std::string words = "shape=" + symopt::to_string(shape) + " trial=" + std::to_string(t);
      if (!trials.wants(words)) continue;
      std::mt19937_64 engine = engine_for(trials.seed(), words);
      const WideMatrix weights = rounded_to(precision, widened(gaussian<double>(shape, engine)));
      const WideMatrix gradient = rounded_to(precision, widened(gaussian<double>(shape, engine)));
      const WideMatrix direction = direction_of(rule, precision, weights, gradient);
      const TrialId id{words, "gaussian", shape, static_cast<double>(norm(gradient))};
      if (!is_finite(direction)) {
        Outcome outcome{.is_finite = false};
        outcome.failure = [] { return Failure{.reason = "the output is not finite"}; };
        trials.add(id, std::move(outcome));
        continue;
      }
      double change = 0;
      for (int k = 0; k < 4; ++k)
        change = std::max(
            change, static_cast<double>(distance(
                        direction, direction_of(rule, precision, rounded_once(precision, weights, engine),
                                                rounded_once(precision, gradient, engine)))));
      const WideMatrix part = part_of(weights, direction);
      const double size = static_cast<double>(norm(direction));
      Outcome outcome = outcome_of(static_cast<double>(norm(part)), size, change, roundoff(precision));
      outcome.has_varied = size > 0;
      outcome.failure = [=, relative = outcome.relative] {
        return Failure{
            .reason = "a part of the step moves along the gauge alone",
            .counterexample = Counterexample{.element = "one step",
                                             .input = converted<double>(gradient),
                                             .error = relative,
                                             .weights = converted<double>(weights),
                                             .of_moved = "the step",
                                             .actual = converted<double>(direction),
                                             .should_be = "its horizontal part",
                                             .expected = converted<double>(sum(direction, part, -1))}};
      };
      trials.add(id, std::move(outcome));
    }
  return std::move(trials).conclude();
}
#endif

}}}  // namespace symopt::check
