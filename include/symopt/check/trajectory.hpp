// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/check/inputs.hpp>
#include <symopt/check/law_check.hpp>
#include <symopt/check/motion.hpp>
#include <symopt/check/report.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <concepts>
#include <limits>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace symopt::inline SYMOPT_ABI::check {

/// How long and how twin runs go.
struct TrajectoryOptions {
  std::uint64_t seed = default_seed();  ///< of all random numbers
  int steps = 12;                       ///< of each run
  int trials = 32;              ///< with random elements; every generator is tried anyway
  bool free_running = false;    ///< let the twins' weights drift apart by rounding, too
  std::vector<Shape> shapes{};  ///< of the blocks; empty: small ones that the group fits
};

namespace detail {

/// The scalar that an optimizer steps in: its own word, or double where it takes that.
template <class O>
auto scalar_of_optimizer() {
  if constexpr (requires { typename O::scalar_type; }) {
    return typename O::scalar_type{};
  } else if constexpr (requires(O & o, Matrix<double> & block) { o.step(block, block); }) {
    return double{};
  } else {
    return float{};
  }
}

template <class Factory>
auto make_optimizer(const Factory& factory, Shape shape) {
  if constexpr (requires { factory(shape); }) {
    return factory(shape);
  } else {
    return factory(shape.rows, shape.cols);
  }
}

/// Four runs in step: one, its twin moved by an element, and both once more with gradients that differ by one
/// rounding, which tell what rounding alone can do.
template <class O>
class TwinRuns {
  using Scalar = decltype(scalar_of_optimizer<O>());

 public:
  template <class Factory>
  TwinRuns(const Factory& factory, const Motion& motion, const WideMatrix& weights, bool free_running)
      : motion_(motion),
        free_running_(free_running),
        plain_{make_optimizer(factory, shape_of(weights)), weights.template cast<Scalar>()},
        moved_{make_optimizer(factory, shape_of(weights)), motion.on_weights(weights).template cast<Scalar>()},
        plain_rounded_{make_optimizer(factory, shape_of(weights)), plain_.weights},
        moved_rounded_{make_optimizer(factory, shape_of(weights)), moved_.weights} {}

  /// One step with a gradient: what the twins then differ by.
  Outcome step(const WideMatrix& wide_gradient, std::mt19937_64& engine) {
    const Matrix<Scalar> gradient = wide_gradient.template cast<Scalar>();
    const Matrix<Scalar> moved_gradient =
        motion_.on_gradient(widened(gradient)).template cast<Scalar>();
    const Matrix<Scalar> before = plain_.weights;
    const Matrix<Scalar> moved_before = moved_.weights;
    if (!free_running_) {
      moved_.weights = motion_.on_weights(widened(before)).template cast<Scalar>();
      plain_rounded_.weights = before;
      moved_rounded_.weights = moved_.weights;
    }
    const Matrix<Scalar> moved_start = moved_.weights;
    plain_.optimizer.step(plain_.weights, gradient);
    moved_.optimizer.step(moved_.weights, moved_gradient);
    plain_rounded_.optimizer.step(plain_rounded_.weights, rounded(gradient, engine));
    moved_rounded_.optimizer.step(moved_rounded_.weights, rounded(moved_gradient, engine));

    Outcome outcome;
    outcome.has_moved_gradient = moved_gradient != gradient;
    outcome.has_moved_weights = moved_start != before;
    outcome.is_finite = plain_.weights.allFinite() && moved_.weights.allFinite();
    if (!outcome.is_finite) return outcome;
    outcome.output = widened(plain_.weights) - widened(before);
    const double violation = distance(motion_.on_weights(widened(plain_.weights)), widened(moved_.weights));
    const double change = std::max(distance(widened(plain_.weights), widened(plain_rounded_.weights)),
                                   distance(widened(moved_.weights), widened(moved_rounded_.weights)));
    const double moved_by = static_cast<double>(outcome.output.stableNorm());
    const double size = std::max(norm(plain_.weights), norm(moved_.weights)) + norm(moved_before);
    const double unit = static_cast<double>(std::numeric_limits<Scalar>::epsilon());
    steps_ += 1;
    const double allowed = 32 * (change + (free_running_ ? steps_ : 1) * unit * size);
    outcome.relative = violation == 0 ? 0 : violation / std::max(moved_by, unit * size);
    outcome.error = violation == 0 ? 0 : violation / allowed;
    outcome.is_ill_posed = !(change <= 1e-3 * moved_by + unit * size);
    return outcome;
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
  static Matrix<Scalar> rounded(const Matrix<Scalar>& gradient, std::mt19937_64& engine) {
    std::bernoulli_distribution coin;
    constexpr Scalar unit = std::numeric_limits<Scalar>::epsilon();
    return gradient.unaryExpr([&](Scalar x) { return x * (1 + (coin(engine) ? unit : -unit)); });
  }

  const Motion& motion_;
  bool free_running_;
  Run plain_, moved_, plain_rounded_, moved_rounded_;
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
    if (options_.shapes.empty()) options_.shapes = default_shapes(group.families());
    std::erase_if(options_.shapes, [&](Shape shape) { return !group.fits(shape); });
  }

  Report run() {
    for (const Shape shape : options_.shapes) {
      for (const SimpleMove& move : simple_moves(group_, shape)) run_all_kinds(move.motion(shape), shape);
      int number = 0;
      for (const auto& g : group_.generators(shape))
        run_all_kinds(motion_of(group_, g, "generator " + std::to_string(number++)), shape);
    }
    for (int t = 0; t < options_.trials && !options_.shapes.empty(); ++t) {
      std::mt19937_64 engine = engine_for(options_.seed, "trajectory", static_cast<std::uint64_t>(t));
      const Shape shape = options_.shapes[static_cast<std::size_t>(t) % options_.shapes.size()];
      run_twins(motion_of(group_, group_.random(shape, engine), "random element " + std::to_string(t)), shape,
                t % static_cast<int>(kinds.size()));
    }
    return conclude();
  }

 private:
  /// What the gradients of one run are; by their place in input_kinds.
  static constexpr std::array<std::string_view, 6> kinds{"gaussian",  "integers",   "half-rank",
                                                         "zero-row", "equal-rows", "horizontal"};

  void run_all_kinds(const Motion& motion, Shape shape) {
    for (int kind = 0; kind < 2; ++kind) run_twins(motion, shape, kind);
  }

  void run_twins(const Motion& motion, Shape shape, int kind) {
    const std::string_view name = kinds[static_cast<std::size_t>(kind)];
    const auto input = std::ranges::find(input_kinds(), name, &InputKind::name);
    std::mt19937_64 engine =
        engine_for(options_.seed, motion.name + symopt::to_string(shape) + std::string(name));
    TwinRuns<O> twins(factory_, motion, widened(gaussian<double>(shape, engine)), options_.free_running);
    for (int step = 0; step < options_.steps; ++step) {
      const WideMatrix gradient = widened(input->draw(shape, engine));
      const Outcome outcome = twins.step(gradient, engine);
      ++report_.trials;
      has_moved_ = has_moved_ || outcome.has_moved_gradient || outcome.has_moved_weights;
      has_stepped_ = has_stepped_ || !outcome.is_finite || !outcome.output.isZero(0);
      if (outcome.is_ill_posed) {
        ++report_.ill_posed;
        if (options_.free_running) return;  // the twins may part from here on
        continue;
      }
      const double error = outcome.is_finite ? outcome.error : std::numeric_limits<double>::infinity();
      report_.errors.push_back(error);
      if (!(error <= report_.worst)) report_.worst = error;
      if (!outcome.is_violation()) continue;
      if (!report_.counterexample) {
        report_.counterexample = {motion.name, gradient.cast<double>(),
                                  outcome.is_finite ? outcome.relative : error};
        report_.reason = outcome.is_finite
                             ? "the twins part in step " + std::to_string(step + 1) +
                                   ", with weights or a state that do not move with the gradients"
                             : "the weights are not finite after step " + std::to_string(step + 1);
      }
      return;
    }
  }

  Report conclude() {
    std::sort(report_.errors.begin(), report_.errors.end());
    report_.reproduce = "SYMOPT_SEED=" + std::to_string(options_.seed);
    if (report_.counterexample) {
      report_.verdict = Verdict::violated;
    } else if (!has_stepped_) {
      report_.verdict = Verdict::vacuous;
      report_.reason = "the optimizer never moves the weights";
    } else if (!has_moved_) {
      report_.verdict = Verdict::vacuous;
      report_.reason = "no element of the group moved weights or gradients";
    } else if (2 * (report_.trials - report_.ill_posed) < report_.trials) {
      report_.verdict = Verdict::inconclusive;
      report_.reason = "rounding decides most steps";
    } else {
      report_.verdict = Verdict::holds;
    }
    return std::move(report_);
  }

  const AnyGroup& group_;
  const Factory& factory_;
  TrajectoryOptions options_;
  Report report_;
  bool has_moved_ = false;
  bool has_stepped_ = false;
};

}  // namespace detail

/// Is the whole optimizer equivariant, its state, its decay and its schedule? Runs it twice, from W with
/// gradients G_t and from gW with g_* G_t, and compares gW_t with the twin's weights after every step. The state
/// needs no transport: each twin makes its own, from zero. The twin's weights start every step at gW_t, so that
/// rounding does not add up, unless they run free.
/// Factory: callable with a Shape or with (rows, cols); returns anything with step(weights, gradient).
/// Cost: four steps for each of (generators and random elements) x steps.
template <SymmetryGroup Group, class Factory>
Report check_trajectory(const Factory& factory, TrajectoryOptions options = {}) {
  const ErasedGroup<Group> group;
  return detail::TrajectoryCheck<Factory>(group, factory, std::move(options)).run();
}

}  // namespace symopt::check
