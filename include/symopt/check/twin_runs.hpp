// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/check/any_optimizer.hpp>
#include <symopt/check/motion.hpp>
#include <symopt/check/subject.hpp>

#include <algorithm>
#include <memory>
#include <random>
#include <string>

namespace symopt { inline namespace SYMOPT_ABI { namespace check::detail {

/// Four runs in step: one, its twin moved by an element, and both once more with gradients that differ by one
/// rounding. These, and the first two in float, tell what rounding alone can do.
class TwinRuns {
 public:
  TwinRuns(const AnyOptimizerFactory& factory, const Motion& motion, const WideMatrix& weights,
           bool free_running);

  /// One step with a gradient, and the difference of the twins then: gW_t and the twin's weights.
  Comparison step(const WideMatrix& gradient, std::mt19937_64& engine);

  /// The weights that the last step started from, before the element moved them.
  const WideMatrix& start() const { return start_; }

 private:
  struct Run {
    std::unique_ptr<AnyOptimizer> optimizer;
    WideMatrix weights;
    void step(const WideMatrix& gradient) { optimizer->step(weights, gradient); }
  };
  /// What the arithmetic of a run's optimizer rounds in a step: the same step in float, where there is one.
  static double own_rounding_of(std::unique_ptr<AnyOptimizer>& in_float, WideMatrix before,
                                const WideMatrix& gradient, const WideMatrix& after);
  WideMatrix moved_weights(const WideMatrix& weights) const;

  Precision precision_;
  const Motion& motion_;
  bool free_running_;
  Run plain_, moved_, plain_rounded_, moved_rounded_;
  std::unique_ptr<AnyOptimizer> plain_in_float_, moved_in_float_;
  WideMatrix start_;
  double steps_ = 0;
};

#ifdef SYMOPT_CHECK_DEFINITIONS
SYMOPT_CHECK_INLINE TwinRuns::TwinRuns(const AnyOptimizerFactory& factory, const Motion& motion,
                                       const WideMatrix& weights, bool free_running)
    : precision_(factory.precision),
      motion_(motion),
      free_running_(free_running),
      plain_{factory.make(symopt::detail::shape_of(weights)), rounded_to(precision_, weights)},
      moved_{factory.make(symopt::detail::shape_of(weights)), moved_weights(weights)},
      plain_rounded_{factory.make(symopt::detail::shape_of(weights)), plain_.weights},
      moved_rounded_{factory.make(symopt::detail::shape_of(weights)), moved_.weights},
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
  in_float->step(before, gradient);
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
  const WideMatrix moved_start = moved_.weights;
  plain_.step(gradient);
  moved_.step(moved_gradient);
  plain_rounded_.step(rounded_once(precision_, gradient, engine));
  moved_rounded_.step(rounded_once(precision_, moved_gradient, engine));

  Comparison result{.outcome = {}, .output = sum(plain_.weights, start_, -1), .actual = {}, .expected = {}};
  Outcome& outcome = result.outcome;
  outcome.is_finite = is_finite(plain_.weights) && is_finite(moved_.weights) &&
                      is_finite(plain_rounded_.weights) && is_finite(moved_rounded_.weights);
  outcome.has_moved = !is_equal(moved_gradient, gradient) || !is_equal(moved_start, start_);
  outcome.has_varied = !outcome.is_finite || !is_zero(result.output);
  if (!outcome.is_finite) return result;
  result.actual = moved_.weights;
  result.expected = motion_.on_weights(plain_.weights);
  const double change =
      std::max({static_cast<double>(distance(plain_.weights, plain_rounded_.weights)),
                static_cast<double>(distance(moved_.weights, moved_rounded_.weights)),
                own_rounding_of(plain_in_float_, start_, gradient, plain_.weights),
                own_rounding_of(moved_in_float_, moved_start, moved_gradient, moved_.weights)});
  // Weights are rounded where they stand, however little they move.
  const double rounding =
      roundoff(precision_) *
      static_cast<double>(std::max(norm(plain_.weights), norm(moved_.weights)) + norm(twin_before));
  const double moved_by = static_cast<double>(norm(result.output));
  const double violation = static_cast<double>(distance(result.expected, result.actual));
  steps_ += 1;
  outcome.relative = violation == 0 ? 0 : violation / std::max(moved_by, rounding);
  outcome.error = tolerance.error(violation, change + (free_running_ ? steps_ : 1) * rounding);
  outcome.approximation_reason = plain_.optimizer->approximation_reason();
  outcome.is_ill_posed =
      !outcome.approximation_reason.empty() || tolerance.is_ill_posed(change - rounding, moved_by);
  return result;
}
#endif

}}}  // namespace symopt::check::detail
