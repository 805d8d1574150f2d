// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/check/any_optimizer.hpp>
#include <symopt/check/motion.hpp>
#include <symopt/check/subject.hpp>

#include <algorithm>
#include <memory>
#include <random>
#include <stdexcept>
#include <vector>

namespace symopt { inline namespace SYMOPT_ABI { namespace check::detail {

/// Five runs in step: one, its twin moved by an element, both once more with gradients that differ by one
/// rounding, and the first once more, which must not differ from it at all. The second pair, and the first
/// two in float, tell what rounding alone can do; where the twins part, a dozen more such pairs do.
class TwinRuns {
 public:
  TwinRuns(const AnyOptimizerFactory& factory, const Motion& motion, const WideMatrix& weights,
           bool free_running);

  /// One step with a gradient, and the difference of the twins then: gW_t + Dg U_t, which is gW_(t+1), and
  /// the twin's weights.
  Comparison step(const WideMatrix& gradient, std::mt19937_64& engine);

  /// The weights that the last step started from, before the element moved them.
  const WideMatrix& start() const { return start_; }

 private:
  struct Run {
    std::unique_ptr<AnyOptimizer> optimizer;
    WideMatrix weights;
    void step(const WideMatrix& gradient) { optimizer->step(weights, gradient); }
  };
  /// The rounding error of the optimizer's own arithmetic in a step, from the same step in float, where there
  /// is one.
  static double own_rounding_of(std::unique_ptr<AnyOptimizer>& in_float, WideMatrix before,
                                const WideMatrix& gradient, const WideMatrix& after);
  WideMatrix moved_weights(const WideMatrix& weights) const;
  Comparison comparison(double change, const WideMatrix& twin_before, bool is_finite) const;
  /// The most that more runs show whose gradients are rounded once more: the largest difference of the
  /// weights after all steps so far, or, of twins whose weights are put together before each step and are
  /// rounded once more as well, of the last step.
  double change_in_more_runs(std::mt19937_64& engine) const;

  /// The weights before a step of a run, and the gradient of that step.
  struct Given {
    WideMatrix weights, gradient;
  };

  const AnyOptimizerFactory& factory_;
  Precision precision_;
  const Motion& motion_;
  bool free_running_;
  Run plain_, moved_, plain_rounded_, moved_rounded_, again_;
  std::unique_ptr<AnyOptimizer> plain_in_float_, moved_in_float_;
  WideMatrix start_;
  std::vector<Given> plain_history_, moved_history_;
};

#ifdef SYMOPT_CHECK_DEFINITIONS
SYMOPT_CHECK_INLINE TwinRuns::TwinRuns(const AnyOptimizerFactory& factory, const Motion& motion,
                                       const WideMatrix& weights, bool free_running)
    : factory_(factory),
      precision_(factory.precision),
      motion_(motion),
      free_running_(free_running),
      plain_{factory.make(shape_of(weights)), rounded_to(precision_, weights)},
      moved_{factory.make(shape_of(weights)), moved_weights(weights)},
      plain_rounded_{factory.make(shape_of(weights)), plain_.weights},
      moved_rounded_{factory.make(shape_of(weights)), moved_.weights},
      again_{factory.make(shape_of(weights)), plain_.weights},
      plain_in_float_(plain_.optimizer->in_float()),
      moved_in_float_(moved_.optimizer->in_float()) {}

SYMOPT_CHECK_INLINE WideMatrix TwinRuns::moved_weights(const WideMatrix& weights) const {
  return rounded_to(precision_, motion_.on_weights(weights));
}

SYMOPT_CHECK_INLINE double TwinRuns::own_rounding_of(std::unique_ptr<AnyOptimizer>& in_float,
                                                     WideMatrix before, const WideMatrix& gradient,
                                                     const WideMatrix& after) {
  if (in_float && !is_finite(rounded_to(Precision::in_float, gradient))) in_float.reset();
  if (!in_float) return 0;
  try {
    in_float->step(before, gradient);
  } catch (const std::invalid_argument&) {  // beyond floats
    in_float.reset();
    return 0;
  }
  return own_rounding(before, after);
}

SYMOPT_CHECK_INLINE Comparison TwinRuns::step(const WideMatrix& wide_gradient, std::mt19937_64& engine) {
  const WideMatrix gradient = rounded_to(precision_, wide_gradient);
  const WideMatrix moved_gradient = rounded_to(precision_, motion_.on_gradient(gradient));
  const WideMatrix twin_before = moved_.weights;
  start_ = plain_.weights;
  if (!free_running_) {
    moved_.weights = moved_rounded_.weights = moved_weights(start_);
    plain_rounded_.weights = start_;
  }
  plain_history_.push_back({start_, gradient});
  moved_history_.push_back({moved_.weights, moved_gradient});
  plain_.step(gradient);
  again_.step(gradient);
  moved_.step(moved_gradient);
  plain_rounded_.step(rounded_once(precision_, gradient, engine));
  moved_rounded_.step(rounded_once(precision_, moved_gradient, engine));

  for (const WideMatrix* weights :
       {&plain_.weights, &again_.weights, &moved_.weights, &plain_rounded_.weights, &moved_rounded_.weights})
    if (shape_of(*weights) != shape_of(gradient)) {
      Comparison result{.outcome = {}, .output = start_, .actual = *weights, .expected = start_};
      result.outcome.has_shape = false;
      return result;
    }
  const bool all_finite = is_finite(plain_.weights) && is_finite(moved_.weights) &&
                          is_finite(plain_rounded_.weights) && is_finite(moved_rounded_.weights);
  double change = 0;
  if (all_finite)
    change = std::max(
        {static_cast<double>(distance(plain_.weights, plain_rounded_.weights)),
         static_cast<double>(distance(moved_.weights, moved_rounded_.weights)),
         own_rounding_of(plain_in_float_, start_, gradient, plain_.weights),
         own_rounding_of(moved_in_float_, moved_history_.back().weights, moved_gradient, moved_.weights)});
  Comparison result = comparison(change, twin_before, all_finite);
  if (result.outcome.is_violation() && !result.outcome.is_defective())
    result = comparison(std::max(change, change_in_more_runs(engine)), twin_before, all_finite);
  return result;
}

SYMOPT_CHECK_INLINE Comparison TwinRuns::comparison(double change, const WideMatrix& twin_before,
                                                    bool all_finite) const {
  Comparison result{.outcome = {}, .output = sum(plain_.weights, start_, -1), .actual = {}, .expected = {}};
  Outcome& outcome = result.outcome;
  outcome.is_finite = all_finite;
  outcome.has_moved = !is_equal(moved_history_.back().gradient, plain_history_.back().gradient) ||
                      !is_equal(moved_history_.back().weights, start_);
  outcome.has_varied = false;  // whoever sees other steps knows
  if (!outcome.is_finite) return result;
  outcome.is_function = is_equal(plain_.weights, again_.weights);
  result.actual = outcome.is_function ? moved_.weights : again_.weights;
  const WideMatrix moved_step = motion_.on_update(result.output);
  if (!outcome.is_function) {
    result.expected = plain_.weights;
  } else {
    result.expected =
        free_running_ ? motion_.on_weights(plain_.weights) : sum(motion_.on_weights(start_), moved_step, 1);
  }
  // Weights are rounded where they stand, however little they move, and a motion may stretch what is rounded.
  const Wide moved_by_one = norm(result.output), moved_by_other = norm(moved_step);
  const Wide stretch = moved_by_other > moved_by_one && moved_by_one > 0 ? moved_by_other / moved_by_one : 1;
  const double rounding =
      roundoff(precision_) *
      static_cast<double>(std::max(stretch * norm(plain_.weights), norm(moved_.weights)) + norm(twin_before));
  const double moved_by = static_cast<double>(std::max(moved_by_one, moved_by_other));
  const double violation = static_cast<double>(distance(result.expected, result.actual));
  const double steps = free_running_ ? static_cast<double>(plain_history_.size()) : 1;
  outcome.relative = violation == 0 ? 0 : violation / std::max(moved_by, rounding);
  outcome.error = tolerance.error(violation, change + steps * rounding);
  outcome.approximation_reason = plain_.optimizer->approximation_reason();
  // A step that the rounding of the weights drowns shows nothing where it seems right.
  const bool is_drowned = moved_by > 0 && outcome.error <= 1 && tolerance.is_ill_posed(rounding, moved_by);
  outcome.is_ill_posed = !outcome.approximation_reason.empty() || is_drowned ||
                         tolerance.is_ill_posed(change - rounding, moved_by);
  return result;
}

SYMOPT_CHECK_INLINE double TwinRuns::change_in_more_runs(std::mt19937_64& engine) const {
  constexpr int draws = 12;
  double change = 0;
  const auto look = [&](const std::vector<Given>& history, const WideMatrix& weights) {
    Run run{factory_.make(shape_of(weights)), history.front().weights};
    WideMatrix start;  // of the last step
    for (const Given& given : history) {
      if (!free_running_) run.weights = start = rounded_once(precision_, given.weights, engine);
      run.step(rounded_once(precision_, given.gradient, engine));
    }
    if (!is_finite(run.weights)) return;
    const Wide difference =
        free_running_ ? distance(run.weights, weights)
                      : distance(sum(run.weights, start, -1), sum(weights, history.back().weights, -1));
    change = std::max(change, static_cast<double>(difference));
  };
  for (int k = 0; k < draws; ++k) {
    look(plain_history_, plain_.weights);
    look(moved_history_, moved_.weights);
  }
  return change;
}
#endif

}}}  // namespace symopt::check::detail
