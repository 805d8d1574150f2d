// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/check/any_optimizer.hpp>
#include <symopt/check/first_outputs.hpp>
#include <symopt/check/inputs.hpp>
#include <symopt/check/law.hpp>
#include <symopt/check/laws/equivariance.hpp>
#include <symopt/check/trials.hpp>
#include <symopt/check/twin_runs.hpp>

#include <algorithm>
#include <array>
#include <functional>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace symopt { inline namespace SYMOPT_ABI { namespace check {

/// The options of twin runs.
struct TrajectoryOptions {
  std::uint64_t seed = default_seed();  ///< of all random numbers
  int steps = 40;                       ///< of each run
  int trials = 32;                      ///< with random elements; every generator is tried anyway
  bool free_running = false;            ///< let the twins' weights drift apart by rounding, too
  std::vector<Shape> shapes{};          ///< of the blocks; empty: small ones that the group fits, and large
  /// Names of the kinds of gradients (see input_kinds), one for each run; every generator meets the first
  /// two. Empty: eight, among them one that changes from step to step. For an optimizer whose domain is
  /// smaller.
  std::vector<std::string> inputs{};
  std::string name{};  ///< of the optimizer in the report; empty: that of its type
};

namespace detail {

/// Twin weights that stay related by an element of the group.
Law trajectory_law(const AnyGroup& group);
/// Tries an optimizer on a law of motions, in twin runs.
Report check_trajectory(const Law& law, const AnyGroup& group, const AnyOptimizerFactory& factory,
                        TrajectoryOptions options);

}  // namespace detail

/// Is the whole optimizer equivariant, its state, its decay and its schedule? Runs it twice, from W with
/// gradients G_t and from gW with g_* G_t, and compares gW_t with the twin's weights after every step. The
/// state needs no transport: each twin makes its own, from zero. The twin's weights start every step at gW_t,
/// so that rounding does not add up, unless they run free. Factory: callable with a Shape or with (rows,
/// cols); returns anything with step(weights, gradient). Starts are Gaussian, zero, integers, equal, small
/// and large weights; gradients are of several kinds, large ones among them. Cost: five steps for each of
/// (generators and random elements) x steps, and two in float where the optimizer is one of ours in double;
/// one of ours in float is tried in double first. A step of another one in float that is little beside the
/// rounding of its weights says nothing: give such an optimizer a larger rate.
template <SymmetryGroup Group, class Factory>
Report check_trajectory(const Factory& factory, TrajectoryOptions options = {}) {
  const ErasedGroup<Group> group;
  return detail::check_trajectory(detail::trajectory_law(group), group,
                                  detail::any_optimizer_factory(std::cref(factory)), std::move(options));
}

#ifdef SYMOPT_CHECK_DEFINITIONS
namespace detail {

/// The run of check_trajectory. Every step of a run is a trial, and the run repeats it.
class TrajectoryRun {
 public:
  TrajectoryRun(const Law& law, const AnyGroup& group, const AnyOptimizerFactory& factory,
                TrajectoryOptions options)
      : law_(law),
        factory_(factory),
        options_(std::move(options)),
        kinds_(chosen_gradients(options_.inputs)),
        shapes_(chosen_shapes(options_.shapes, group)),
        trials_({.law = law.name,
                 .rule = options_.name.empty() ? factory.name : options_.name,
                 .group = group.name(),
                 .precision = to_string(factory.precision),
                 .seed = options_.seed},
                {.nothing_tried = "there was nothing to run",
                 .constant_output = "the optimizer moves the weights alike at every step, or never",
                 .nothing_moved = "no element of the group moved weights or gradients",
                 .unknown_trial = "SYMOPT_REPRODUCE names no run of this check",
                 .only_trial = "that run does; only the one of SYMOPT_REPRODUCE was made",
                 .trials = "steps",
                 .where_rounding_decides = "a rank cut-off, a tie, or a division by almost nothing"}),
        large_shapes_(chosen_large_shapes(options_.shapes, group, trials_.seed())) {}

  Report run() && {
    for (const Shape shape : shapes_) {
      for (const SimpleMove& move : law_.simple_moves(shape)) run_first_kinds(move.motion(), shape);
      for (const Motion& generator : law_.generators(shape)) run_first_kinds(generator, shape);
    }
    shapes_.insert(shapes_.end(), large_shapes_.begin(), large_shapes_.end());
    for (int t = 0; t < options_.trials && !shapes_.empty(); ++t) {
      std::mt19937_64 engine = engine_for(trials_.seed(), "trajectory", static_cast<std::uint64_t>(t));
      const Shape shape = shapes_[static_cast<std::size_t>(t) % shapes_.size()];
      Motion motion = law_.random(shape, engine);
      motion.name = "random element " + std::to_string(t);
      run_twins(motion, shape, kinds_[static_cast<std::size_t>(t) % kinds_.size()]);
    }
    return std::move(trials_).conclude();
  }

 private:
  /// The gradients of one run, by their names in input_kinds; integers first, for a failure on them is the
  /// easiest to read. The last is another kind at each step.
  static constexpr std::array<std::string_view, 8> all_kinds{
      "integers", "changing", "gaussian", "half-rank", "zero-row", "equal-rows", "horizontal", "outlier"};
  static constexpr std::array<std::string_view, 11> changing{
      "zero",     "rank-1",     "half-rank",     "gaussian",  "scale-1e3", "zero",
      "integers", "equal-rows", "equal-columns", "scale-1e6", "outlier"};

  static std::vector<std::string_view> chosen_gradients(const std::vector<std::string>& names) {
    if (names.empty()) return {all_kinds.begin(), all_kinds.end()};
    chosen_kinds(names);  // refuses unknown ones
    return {names.begin(), names.end()};
  }

  static const InputKind& kind_at(std::string_view kind, int step) {
    const std::string_view name =
        kind == "changing" ? changing[static_cast<std::size_t>(step) % changing.size()] : kind;
    return kind_named(name);
  }

  void run_first_kinds(const Motion& motion, Shape shape) {
    for (std::size_t k = 0; k < std::min<std::size_t>(2, kinds_.size()); ++k)
      run_twins(motion, shape, kinds_[k]);
  }

  void run_twins(const Motion& motion, Shape shape, std::string_view kind) {
    ++runs_;
    if (law_.stops_at_first_failure && trials_.has_failed()) return;
    const TrialId id{
        "shape=" + to_string(shape) + " gradients=" + std::string(kind) + " element=" + motion.name,
        std::string(kind)};
    if (!trials_.wants(id.words)) return;
    std::mt19937_64 engine = engine_for(trials_.seed(), id.words);
    // Each run starts from other weights.
    const std::size_t start = (static_cast<std::size_t>(trials_.seed()) + runs_) % weight_kinds().size();
    const InputKind& of_weights = kind_named(weight_kinds()[start]);
    TwinRuns twins(factory_, motion, widened(of_weights.draw(shape, engine)), options_.free_running);
    for (int step = 0; step < options_.steps; ++step) {
      const WideMatrix gradient = law_.prepare(widened(kind_at(kind, step).draw(shape, engine)));
      Comparison comparison = twins.step(gradient, engine);
      comparison.outcome.has_moved = comparison.outcome.has_moved || !law_.is_about_motion;
      const double rounding = rounding_of_change(factory_.precision, twins.start(), comparison.output, 1);
      comparison.outcome.has_varied =
          !comparison.outcome.is_defective() && first_steps_.differs(comparison.output, rounding);
      const bool is_violation = comparison.outcome.is_violation();
      const bool may_part = comparison.outcome.is_ill_posed && options_.free_running;
      if (is_violation)
        comparison.outcome.failure =
            [failure = failure_of(motion, gradient, step, twins.start(), comparison)] { return failure; };
      trials_.add({id.words, id.input, shape, static_cast<double>(norm(gradient))},
                  std::move(comparison.outcome));
      if (is_violation || may_part) return;
    }
  }

  Failure failure_of(const Motion& motion, const WideMatrix& gradient, int step, const WideMatrix& start,
                     const Comparison& comparison) const {
    const Outcome& outcome = comparison.outcome;
    const std::string when = "step " + std::to_string(step + 1);
    return {.reason = !outcome.has_shape   ? "the weights have another shape after " + when
                      : !outcome.is_finite ? "the weights are not finite after " + when
                      : !outcome.is_function
                          ? "not a function of its input: two optimizers that were made alike and "
                            "given the same part in " +
                                when
                      : step == 0 || law_.later_violation.empty()
                          ? "the twins part in " + when + ": " + law_.violation
                          : "the twins part in " + when + ", not before: " + law_.later_violation,
            .counterexample =
                Counterexample{.element = outcome.is_function ? motion.name : "two made alike",
                               .input = converted<double>(gradient),
                               .error = outcome.is_finite && outcome.has_shape ? outcome.relative : infinity,
                               .weights = converted<double>(start),
                               .of_moved = !outcome.has_shape    ? "weights after the step"
                                           : outcome.is_function ? law_.of_moved
                                                                 : "the other's weights after the step",
                               .actual = converted<double>(comparison.actual),
                               .should_be = !outcome.has_shape    ? "the weights before"
                                            : outcome.is_function ? law_.should_be
                                                                  : "the one's weights",
                               .expected = converted<double>(comparison.expected)}};
  }

  const Law& law_;
  const AnyOptimizerFactory& factory_;
  TrajectoryOptions options_;
  FirstOutputs first_steps_;
  std::vector<std::string_view> kinds_;
  std::vector<Shape> shapes_;
  Trials trials_;
  std::vector<Shape> large_shapes_;
  std::size_t runs_ = 0;
};

SYMOPT_CHECK_INLINE Law trajectory_law(const AnyGroup& group) {
  Law law = equivariance_law(group);
  law.name = "trajectory";
  law.violation = "a rule or a start of its state that does not move with them";
  law.later_violation = "the state does not move with the gradients, or the rule not with this one";
  law.of_moved = "the twin's weights after the step";
  law.should_be = "the moved weights";
  return law;
}

SYMOPT_CHECK_INLINE Report check_trajectory(const Law& law, const AnyGroup& group,
                                            const AnyOptimizerFactory& factory, TrajectoryOptions options) {
  if (!factory.make_in_double) return TrajectoryRun(law, group, factory, std::move(options)).run();
  // One of ours in float is tried in double first: in float the rounding of the weights hides little steps,
  // as the decay of a small rate.
  AnyOptimizerFactory in_double{factory.name, Precision::in_double, true, factory.make_in_double, {}};
  Report report = TrajectoryRun(law, group, in_double, options).run();
  if (report.verdict == Verdict::violated) {
    report.reason += "; seen of this optimizer in double";
    return report;
  }
  Report in_float = TrajectoryRun(law, group, factory, std::move(options)).run();
  return in_float.verdict == Verdict::violated ? in_float : report;
}

}  // namespace detail
#endif

}}}  // namespace symopt::check
