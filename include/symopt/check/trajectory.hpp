// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/check/inputs.hpp>
#include <symopt/check/motion.hpp>
#include <symopt/check/optimizer_factory.hpp>
#include <symopt/check/outcome.hpp>
#include <symopt/check/replay.hpp>
#include <symopt/check/report.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <concepts>
#include <limits>
#include <optional>
#include <random>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace symopt { inline namespace SYMOPT_ABI { namespace check {

/// How long and how twin runs go.
struct TrajectoryOptions {
  std::uint64_t seed = default_seed();  ///< of all random numbers
  int steps = 12;                       ///< of each run
  int trials = 32;              ///< with random elements; every generator is tried anyway
  bool free_running = false;    ///< let the twins' weights drift apart by rounding, too
  std::vector<Shape> shapes{};  ///< of the blocks; empty: small ones that the group fits
};

namespace detail {

/// The run of an optimizer in double once more in float, which shows what the optimizer's own arithmetic rounds;
/// nothing for optimizers that cannot be made in float.
template <class O>
class FloatRun {
 public:
  explicit FloatRun(const O&) {}
  double own_rounding(const auto&, const auto&, const auto&) { return 0; }
};
template <class O>
requires(FloatTwin<O>::exists)
class FloatRun<O> {
 public:
  explicit FloatRun(const O& optimizer) : optimizer_(FloatTwin<O>::of(optimizer)) {}

  /// Steps from the same weights with the same gradient as the run in double.
  double own_rounding(const Matrix<double>& before, const Matrix<double>& gradient, const Matrix<double>& after) {
    const Matrix<float> slope = gradient.cast<float>();
    if (!slope.allFinite()) optimizer_.reset();
    if (!optimizer_) return 0;
    Matrix<float> weights = before.cast<float>();
    optimizer_->step(weights, slope);
    return own_rounding_of(weights, after);
  }

 private:
  decltype(FloatTwin<O>::of(std::declval<const O&>())) optimizer_;
};

/// Four runs in step: one, its twin moved by an element, and both once more with gradients that differ by one
/// rounding. These, and the first two in float, tell what rounding alone can do.
template <class O>
class TwinRuns {
  using Scalar = decltype(scalar_of_optimizer<O>());

 public:
  template <class Factory>
  TwinRuns(const Factory& factory, const Motion& motion, const WideMatrix& weights, bool free_running)
      : motion_(motion),
        free_running_(free_running),
        plain_{make_optimizer(factory, shape_of(weights)), weights.template cast<Scalar>()},
        moved_{make_optimizer(factory, shape_of(weights)),
               motion.on_weights(weights).template cast<Scalar>()},
        plain_rounded_{make_optimizer(factory, shape_of(weights)), plain_.weights},
        moved_rounded_{make_optimizer(factory, shape_of(weights)), moved_.weights},
        plain_in_float_(plain_.optimizer),
        moved_in_float_(moved_.optimizer) {}

  /// One step with a gradient: what the twins then differ by.
  Outcome step(const WideMatrix& wide_gradient, std::mt19937_64& engine) {
    const Matrix<Scalar> gradient = wide_gradient.template cast<Scalar>();
    const Matrix<Scalar> moved_gradient = motion_.on_gradient(widened(gradient)).template cast<Scalar>();
    const Matrix<Scalar> before = plain_.weights;
    start_ = widened(before);
    const Matrix<Scalar> moved_before = moved_.weights;
    if (!free_running_) {
      moved_.weights = motion_.on_weights(widened(before)).template cast<Scalar>();
      plain_rounded_.weights = before;
      moved_rounded_.weights = moved_.weights;
    }
    const Matrix<Scalar> moved_start = moved_.weights;
    plain_.optimizer.step(plain_.weights, gradient);
    moved_.optimizer.step(moved_.weights, moved_gradient);
    plain_rounded_.optimizer.step(plain_rounded_.weights, rounded_once(gradient, engine));
    moved_rounded_.optimizer.step(moved_rounded_.weights, rounded_once(moved_gradient, engine));

    Outcome outcome;
    outcome.has_moved_gradient = moved_gradient != gradient;
    outcome.has_moved_weights = moved_start != before;
    outcome.output = widened(plain_.weights) - widened(before);
    outcome.is_finite = plain_.weights.allFinite() && moved_.weights.allFinite() &&
                        plain_rounded_.weights.allFinite() && moved_rounded_.weights.allFinite();
    if (!outcome.is_finite) return outcome;
    outcome.actual = widened(moved_.weights);
    outcome.expected = motion_.on_weights(widened(plain_.weights));
    const double violation = distance(outcome.expected, outcome.actual);
    const double change = std::max({distance(widened(plain_.weights), widened(plain_rounded_.weights)),
                                    distance(widened(moved_.weights), widened(moved_rounded_.weights)),
                                    plain_in_float_.own_rounding(before, gradient, plain_.weights),
                                    moved_in_float_.own_rounding(moved_start, moved_gradient, moved_.weights)});
    const double moved_by = static_cast<double>(outcome.output.stableNorm());
    const double size = std::max(norm(plain_.weights), norm(moved_.weights)) + norm(moved_before);
    const double unit = static_cast<double>(std::numeric_limits<Scalar>::epsilon());
    steps_ += 1;
    const double allowed = 32 * (change + (free_running_ ? steps_ : 1) * unit * size);
    outcome.relative = violation == 0 ? 0 : violation / std::max(moved_by, unit * size);
    outcome.error = violation == 0 ? 0 : violation / allowed;
    outcome.is_ill_posed = !(change <= 1e-3 * moved_by + unit * size) || !doubt().empty();
    return outcome;
  }

  /// The weights that the last step started from, before the element moved them.
  const WideMatrix& start() const { return start_; }

  /// Why the optimizer's rule calls its directions approximate; empty when it does not.
  std::string doubt() const {
    if constexpr (requires { {doubt_in(plain_.optimizer.state().report)}; }) {
      return doubt_in(plain_.optimizer.state().report);
    } else {
      return {};
    }
  }

 private:
  struct Run {
    O optimizer;
    Matrix<Scalar> weights;
  };

  static double distance(const WideMatrix& a, const WideMatrix& b) {
    return static_cast<double>((a - b).stableNorm());
  }
  static double norm(const Matrix<Scalar>& block) { return static_cast<double>(widened(block).stableNorm()); }
  const Motion& motion_;
  bool free_running_;
  Run plain_, moved_, plain_rounded_, moved_rounded_;
  FloatRun<O> plain_in_float_, moved_in_float_;
  WideMatrix start_;
  double steps_ = 0;
};

template <class Factory>
class TrajectoryCheck {
  using O = decltype(make_optimizer(std::declval<const Factory&>(), Shape{}));

 public:
  TrajectoryCheck(const AnyGroup& group, const Factory& factory, TrajectoryOptions options)
      : group_(group), factory_(factory), options_(std::move(options)) {
    report_.law = "trajectory";
    report_.rule = symopt::detail::type_name<O>();
    report_.group = group.name();
    report_.seed = options_.seed;
    report_.precision = std::same_as<decltype(scalar_of_optimizer<O>()), float> ? "float" : "double";
    options_.shapes = chosen_shapes(options_.shapes, group);
    replay_ = replay_of(report_);
  }

  Report run() {
    for (const Shape shape : options_.shapes) {
      for (const SimpleMove& move : simple_moves(group_, shape)) run_all_kinds(move.motion(shape), shape);
      int number = 0;
      for (const auto& g : group_.generators(shape))
        run_all_kinds(motion_of(group_, g, "generator " + std::to_string(number++)), shape);
    }
    for (int t = 0; t < options_.trials && !options_.shapes.empty(); ++t) {
      std::mt19937_64 engine = engine_for(report_.seed, "trajectory", static_cast<std::uint64_t>(t));
      const Shape shape = options_.shapes[static_cast<std::size_t>(t) % options_.shapes.size()];
      run_twins(motion_of(group_, group_.random(shape, engine), "random element " + std::to_string(t)), shape,
                kinds[static_cast<std::size_t>(t) % kinds.size()]);
    }
    return conclude();
  }

 private:
  /// What the gradients of one run are, by their names in input_kinds; integers first, for a failure on them
  /// is the easiest to read. The last is another kind at each step.
  static constexpr std::array<std::string_view, 7> kinds{"integers",   "gaussian",   "half-rank", "zero-row",
                                                         "equal-rows", "horizontal", "changing"};
  static constexpr std::array<std::string_view, 8> changing{
      "zero", "rank-1", "half-rank", "gaussian", "zero", "integers", "equal-rows", "equal-columns"};

  static const InputKind& kind_at(std::string_view kind, int step) {
    const std::string_view name =
        kind == "changing" ? changing[static_cast<std::size_t>(step) % changing.size()] : kind;
    return *std::ranges::find(input_kinds(), name, &InputKind::name);
  }

  void run_all_kinds(const Motion& motion, Shape shape) {
    for (const std::string_view kind : {kinds[0], kinds[1]}) run_twins(motion, shape, kind);
  }

  void run_twins(const Motion& motion, Shape shape, std::string_view kind) {
    const std::string id =
        "shape=" + symopt::to_string(shape) + " gradients=" + std::string(kind) + " element=" + motion.name;
    if (replay_ && !replay_->wants(id)) return;
    std::mt19937_64 engine = engine_for(report_.seed, id);
    TwinRuns<O> twins(factory_, motion, widened(gaussian<double>(shape, engine)), options_.free_running);
    for (int step = 0; step < options_.steps; ++step) {
      const WideMatrix gradient = widened(kind_at(kind, step).draw(shape, engine));
      const Outcome outcome = twins.step(gradient, engine);
      ++report_.trials;
      has_moved_ = has_moved_ || outcome.has_moved_gradient || outcome.has_moved_weights;
      has_stepped_ = has_stepped_ || !outcome.is_finite || !outcome.output.isZero(0);
      if (outcome.is_ill_posed) {
        ++report_.ill_posed;
        if (doubt_.empty()) doubt_ = twins.doubt();
        if (options_.free_running) return;  // the twins may part from here on
        continue;
      }
      const double error = outcome.is_finite ? outcome.error : std::numeric_limits<double>::infinity();
      report_.errors.push_back(error);
      if (!(error <= report_.worst)) report_.worst = error;
      if (!outcome.is_violation()) continue;
      if (!report_.counterexample) fail(id, motion, gradient, step, twins.start(), outcome);
      return;
    }
  }

  void fail(const std::string& id, const Motion& motion, const WideMatrix& gradient, int step,
            const WideMatrix& start, const Outcome& outcome) {
    const auto narrow = [](const WideMatrix& block) -> Matrix<double> { return block.cast<double>(); };
    report_.counterexample = {
        .element = motion.name,
        .input = narrow(gradient),
        .error = outcome.is_finite ? outcome.relative : std::numeric_limits<double>::infinity(),
        .weights = narrow(start),
        .of_moved = "the twin's weights after the step",
        .actual = narrow(outcome.actual),
        .should_be = "the moved weights",
        .expected = narrow(outcome.expected)};
    const std::string when = "step " + std::to_string(step + 1);
    report_.reason = !outcome.is_finite
                         ? "the weights are not finite after " + when
                         : "the twins part in " + when +
                               (step == 0 ? ": a rule or a start of its state that does not move with them"
                                          : ", not before: the state does not move with the gradients");
    failed_ = id;
  }

  Report conclude() {
    std::sort(report_.errors.begin(), report_.errors.end());
    report_.reproduce = reproduce_line(report_, failed_);
    const bool is_one_trial = replay_ && replay_->is_one_trial();
    if (report_.counterexample) {
      report_.verdict = Verdict::violated;
    } else if (report_.trials == 0) {
      report_.reason =
          is_one_trial ? "SYMOPT_REPRODUCE names no run of this check" : "there was nothing to run";
    } else if (!has_stepped_) {
      report_.verdict = Verdict::vacuous;
      report_.reason = "the optimizer never moves the weights";
    } else if (!has_moved_) {
      report_.verdict = Verdict::vacuous;
      report_.reason = "no element of the group moved weights or gradients";
    } else if (2 * report_.ill_posed > report_.trials) {
      report_.verdict = Verdict::inconclusive;
      const std::string share =
          std::to_string(report_.ill_posed) + " of " + std::to_string(report_.trials) + " steps";
      report_.reason = doubt_.empty() ? "rounding decides " + share +
                                            ": a rank cut-off, a tie, or a division by almost nothing"
                                      : "the rule calls " + share + " approximate: " + doubt_;
    } else {
      report_.verdict = Verdict::holds;
      if (is_one_trial) report_.reason = "that run does; only the one of SYMOPT_REPRODUCE was made";
    }
    return std::move(report_);
  }

  const AnyGroup& group_;
  const Factory& factory_;
  TrajectoryOptions options_;
  std::optional<Replay> replay_;
  Report report_;
  bool has_moved_ = false;
  bool has_stepped_ = false;
  std::string failed_;  // the run
  std::string doubt_;
};

}  // namespace detail

/// Is the whole optimizer equivariant, its state, its decay and its schedule? Runs it twice, from W with
/// gradients G_t and from gW with g_* G_t, and compares gW_t with the twin's weights after every step. The
/// state needs no transport: each twin makes its own, from zero. The twin's weights start every step at gW_t,
/// so that rounding does not add up, unless they run free. Factory: callable with a Shape or with (rows,
/// cols); returns anything with step(weights, gradient). Cost: four steps for each of (generators and random
/// elements) x steps, and two in float where the optimizer is one of ours in double.
template <SymmetryGroup Group, class Factory>
Report check_trajectory(const Factory& factory, TrajectoryOptions options = {}) {
  const ErasedGroup<Group> group;
  return detail::TrajectoryCheck<Factory>(group, factory, std::move(options)).run();
}

}}}  // namespace symopt::check
