// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/check/any_optimizer.hpp>
#include <symopt/check/any_rule.hpp>
#include <symopt/check/laws/classification.hpp>
#include <symopt/check/laws/trajectory.hpp>

#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace symopt { inline namespace SYMOPT_ABI { namespace check {

namespace detail {

Classification classify_optimizer(const AnyOptimizerFactory& factory, TrajectoryOptions options,
                                  int head_size);

}  // namespace detail

/// The row of an optimizer in the table of docs/derivation.md. Every law of classify is asked twice: of its
/// first three steps with one gradient, of fourteen kinds, whose failures are made small; then of
/// trajectories, whose gradients change from step to step, so that the state counts. E, H and I are about
/// every step of a run; the degree is that of all its steps when all its gradients are scaled by one number.
/// Factory and options: those of check_trajectory, with small shapes where none are given. Decay, scale and
/// schedule are the optimizer's and count; for the rule alone, make it without decay. Cost: that of some
/// sixteen calls of check_equivariance and of check_trajectory, on small shapes.
template <class Factory>
Classification classify_optimizer(const Factory& factory, TrajectoryOptions options = {}, int head_size = 0) {
  return detail::classify_optimizer(detail::any_optimizer_factory(std::cref(factory)), std::move(options),
                                    head_size);
}

#ifdef SYMOPT_CHECK_DEFINITIONS
namespace detail {

/// Checks an optimizer under one group and law after the other, for the verdicts.
class OptimizerClassifier final : public Classifier {
 public:
  OptimizerClassifier(const AnyOptimizerFactory& factory, TrajectoryOptions options)
      : factory_(factory), options_(std::move(options)), first_steps_(rule_of_factory(factory)) {}

 private:
  Verdict verdict(Law law, const AnyGroup& group) override {
    law.stops_at_first_failure = true;
    const Verdict in_first_steps =
        add(check_law(law, group, first_steps_,
                      {.seed = options_.seed,
                       .trials = options_.trials,
                       .shapes = options_.shapes,
                       .inputs = options_.inputs.empty() ? kinds_of_first_steps() : options_.inputs,
                       .name = options_.name}));
    if (in_first_steps == Verdict::violated) return in_first_steps;
    law.name += " in a trajectory";
    law.of_moved = "the twin's weights after the step";
    law.should_be = "where the law leads";
    const Verdict in_trajectory = add(check_trajectory(law, group, factory_, options_));
    for (const Verdict worst : {Verdict::violated, Verdict::inconclusive, Verdict::holds})
      if (in_first_steps == worst || in_trajectory == worst) return worst;
    return Verdict::vacuous;
  }

  Verdict equivariant(const AnyGroup& shift) override { return verdict(equivariance_law(shift), shift); }

  /// Those that tell most. None is of a size that an optimizer in float may refuse, its squares out of range.
  static std::vector<std::string> kinds_of_first_steps() {
    return {"gaussian",  "integers",  "condition-3", "rank-1",     "half-rank",  "zero-row",   "equal-rows",
            "tied-rows", "one-entry", "ones",        "horizontal", "scale-1e-3", "scale-1e-6", "outlier"};
  }

  /// From the third step of a run that starts at zero, whose weights hardly round the steps.
  std::optional<double> shown_degree() const override {
    constexpr int steps = 3, doublings = 10;
    constexpr double allowed = 1e-9;
    const Shape shape = options_.shapes.back();
    const auto size = [&](int scale) {
      std::mt19937_64 engine = engine_for(options_.seed, "degree");
      const std::unique_ptr<AnyOptimizer> optimizer = factory_.make(shape);
      WideMatrix weights = WideMatrix::Zero(shape.rows, shape.cols), before;
      for (int step = 0; step < steps; ++step) {
        before = weights;
        const WideMatrix gradient = times(scale)(gaussian<Wide>(shape, engine));
        optimizer->step(weights, rounded_to(factory_.precision, gradient));
      }
      return norm(sum(weights, before, -1));
    };
    return degree_shown(size(1), size(1 << doublings), doublings, allowed);
  }
  bool asks_for_exact_degree() const override { return false; }

  const AnyOptimizerFactory& factory_;
  TrajectoryOptions options_;
  AnyRule first_steps_;
};

SYMOPT_CHECK_INLINE Classification classify_optimizer(const AnyOptimizerFactory& factory,
                                                      TrajectoryOptions options, int head_size) {
  if (options.shapes.empty()) options.shapes = classification_shapes(head_size);
  const std::string name = options.name.empty() ? factory.name : options.name;
  const int steps = options.steps;
  Classification row = OptimizerClassifier(factory, std::move(options)).run(name, head_size);
  row.steps = steps;
  return row;
}

}  // namespace detail
#endif

}}}  // namespace symopt::check
