// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/check/any_rule.hpp>
#include <symopt/check/inputs.hpp>
#include <symopt/check/motion.hpp>
#include <symopt/check/report.hpp>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <functional>
#include <limits>
#include <optional>
#include <random>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace symopt::inline SYMOPT_ABI::check {

namespace detail {

/// What one trial came to, in one precision.
struct Outcome {
  double error = 0;     ///< the violation over what rounding allows
  double relative = 0;  ///< the violation over the size of the output
  bool is_ill_posed = false;
  bool has_moved_gradient = false;
  bool has_moved_weights = false;
  bool is_finite = true;
  WideMatrix output;  ///< for the gradient as it is; empty when not finite

  bool is_violation() const { return !is_finite || (!is_ill_posed && !(error <= 1)); }
};

/// Small ones: sums and products of them are not rounded. Large numbers are all integers.
inline bool is_integer(const WideMatrix& block) {
  return (block.array() == block.array().round() && block.array().abs() <= 1024).all();
}

template <class Scalar>
WideMatrix widened(const Matrix<Scalar>& block) {
  return block.template cast<Wide>();
}

/// The largest change of the direction when every entry of weights and gradient moves by one rounding; zeros
/// stay.
template <class Scalar>
double rounding_change(const Direction<Scalar>& rule, const Matrix<Scalar>& weights,
                       const Matrix<Scalar>& gradient, const Matrix<Scalar>& direction,
                       std::mt19937_64& engine) {
  constexpr int draws = 4;
  std::bernoulli_distribution coin;
  constexpr Scalar unit = std::numeric_limits<Scalar>::epsilon();
  double change = 0;
  for (int k = 0; k < draws; ++k) {
    const auto noisy = [&](const Matrix<Scalar>& block) -> Matrix<Scalar> {
      return block.unaryExpr([&](Scalar x) { return x * (1 + (coin(engine) ? unit : -unit)); });
    };
    const Matrix<Scalar> noisy_gradient = noisy(gradient), noisy_weights = noisy(weights);
    const double moved =
        static_cast<double>((widened(rule(noisy_weights, noisy_gradient)) - widened(direction)).stableNorm());
    change = moved <= change ? change : moved;
  }
  return change;
}

/// One trial: U(gW, g_* G) against Dg U(W, G). Rounding is allowed 32 times what one rounding of the input or
/// the output can change. Where that is more than a thousandth of the output, rounding decides and the trial
/// is ill-posed; not so for integers that the element moves to integers, where nothing was rounded.
template <class Scalar>
Outcome try_motion(const Direction<Scalar>& rule, const Motion& motion, const WideMatrix& weights,
                   const WideMatrix& gradient, bool to_the_bit, std::mt19937_64& engine) {
  const Matrix<Scalar> w = weights.template cast<Scalar>();
  const Matrix<Scalar> x = gradient.template cast<Scalar>();
  const WideMatrix wide_gx = motion.on_gradient(widened(x));
  const WideMatrix wide_gw = motion.on_weights(widened(w));
  const Matrix<Scalar> gw = wide_gw.template cast<Scalar>();
  const Matrix<Scalar> gx = wide_gx.template cast<Scalar>();
  const Matrix<Scalar> u = rule(w, x);
  const Matrix<Scalar> v = rule(gw, gx);

  Outcome outcome;
  outcome.has_moved_gradient = gx != x;
  outcome.has_moved_weights = gw != w;
  outcome.is_finite = u.allFinite() && v.allFinite() && u.rows() == v.rows() && u.cols() == v.cols();
  if (!outcome.is_finite) return outcome;
  outcome.output = widened(u);

  const WideMatrix moved_u = motion.on_update(widened(u));
  const double violation = static_cast<double>((widened(v) - moved_u).stableNorm());
  const double size =
      static_cast<double>(std::max({widened(u).stableNorm(), moved_u.stableNorm(), widened(v).stableNorm()}));
  outcome.relative = violation == 0 ? 0 : violation / size;
  if (to_the_bit) {
    outcome.error = violation == 0 ? 0 : std::numeric_limits<double>::infinity();
    return outcome;
  }
  const bool is_exact = is_integer(widened(x)) && is_integer(wide_gx) && widened(gw) == wide_gw;
  if (is_exact) {
    outcome.error = outcome.relative / std::sqrt(static_cast<double>(std::numeric_limits<Scalar>::epsilon()));
    return outcome;
  }
  const double change =
      std::max(rounding_change(rule, w, x, u, engine), rounding_change(rule, gw, gx, v, engine));
  const double allowed = 32 * (change + static_cast<double>(std::numeric_limits<Scalar>::epsilon()) * size);
  outcome.is_ill_posed = !(change <= 1e-3 * size);
  outcome.error = violation == 0 ? 0 : violation / allowed;
  return outcome;
}

/// What a trial tries.
struct Trial {
  std::string id;  ///< the words of the line that repeats it
  Motion motion;
  WideMatrix weights;
  WideMatrix gradient;
  bool is_in_general_position = false;
};

/// The value of `key=` in the environment's SYMOPT_REPRODUCE if that is for this check; nothing otherwise.
inline std::optional<std::string> trial_to_repeat(const std::string& heading) {
  const char* text = std::getenv("SYMOPT_REPRODUCE");
  if (text == nullptr || !std::string_view(text).starts_with(heading + "|")) return std::nullopt;
  return std::string(text).substr(heading.size() + 1);
}

/// A law of the form U(x moved) = U(x) moved, for motions that a group has.
struct Law {
  std::string name;
  std::string violation;  ///< what has happened when it fails
  std::function<std::vector<Motion>(Shape)> generators;
  std::function<Motion(Shape, std::mt19937_64&)> random;
  std::function<std::vector<SimpleMove>(Shape)> simple_moves;
  /// Makes an input one that the law speaks of.
  std::function<WideMatrix(WideMatrix)> prepare = [](WideMatrix block) { return block; };
  bool is_about_motion = true;          ///< vacuous when nothing that the rule sees moves
  bool is_to_the_bit = false;           ///< nothing is allowed for rounding
  bool stops_at_first_failure = false;  ///< for those who want the verdict alone
};

/// Tries a rule on a law, and makes a failure small.
class LawCheck {
 public:
  LawCheck(Law law, const AnyGroup& group, const AnyRule& rule, CheckOptions options)
      : law_(std::move(law)), group_(group), rule_(rule), options_(std::move(options)) {
    report_.law = law_.name;
    report_.rule = rule.name;
    report_.group = group.name();
    report_.seed = options_.seed;
    report_.precision = rule.is_float_only() ? "float" : "double";
    if (options_.shapes.empty()) options_.shapes = default_shapes(group.families());
    std::erase_if(options_.shapes, [&](Shape shape) { return !group.fits(shape); });
  }

  Report run() {
    const std::string heading = law_.name + "|" + rule_.name + "|" + group_.name();
    const std::optional<std::string> wanted = trial_to_repeat(heading);
    for (const Shape shape : options_.shapes) run_generators(shape, wanted);
    for (int t = 0; t < options_.trials && !options_.shapes.empty(); ++t) run_random(t, wanted);
    conclude(heading);
    return std::move(report_);
  }

 private:
  std::string seed_text() const { return "seed=" + std::to_string(options_.seed); }

  /// Every generator on inputs of every kind: a product that fails has a generator that does.
  void run_generators(Shape shape, const std::optional<std::string>& wanted) {
    const std::vector<Motion> generators = law_.generators(shape);
    for (const InputKind& kind : input_kinds()) {
      std::mt19937_64 engine = engine_for(options_.seed, std::string(kind.name) + symopt::to_string(shape));
      const WideMatrix gradient = law_.prepare(widened(kind.draw(shape, engine)));
      const WideMatrix weights = widened(gaussian<double>(shape, engine));
      for (std::size_t g = 0; g < generators.size(); ++g)
        run_trial({seed_text() + " shape=" + symopt::to_string(shape) + " input=" + std::string(kind.name) +
                       " generator=" + std::to_string(g),
                   generators[g], weights, gradient, kind.name == "gaussian"},
                  wanted);
    }
  }

  /// A random element on an input of a random kind.
  void run_random(int number, const std::optional<std::string>& wanted) {
    std::mt19937_64 engine = engine_for(options_.seed, "trial", static_cast<std::uint64_t>(number));
    const auto any_of = [&](const auto& choices) -> const auto& {
      return choices[std::uniform_int_distribution<std::size_t>(0, choices.size() - 1)(engine)];
    };
    const Shape shape = any_of(options_.shapes);
    const WideMatrix gradient = law_.prepare(widened(any_of(input_kinds()).draw(shape, engine)));
    const WideMatrix weights = widened(gaussian<double>(shape, engine));
    Motion motion = law_.random(shape, engine);
    motion.name = "random element " + std::to_string(number);
    run_trial({seed_text() + " trial=" + std::to_string(number), std::move(motion), weights, gradient, false},
              wanted);
  }

  void run_trial(const Trial& trial, const std::optional<std::string>& wanted) {
    if (wanted && *wanted != trial.id) return;
    if (law_.stops_at_first_failure && failed_) return;
    std::mt19937_64 engine = engine_for(options_.seed, trial.id);
    const Outcome outcome = try_highest(trial, engine);
    ++report_.trials;
    has_moved_ =
        has_moved_ || outcome.has_moved_gradient || (rule_.sees_weights && outcome.has_moved_weights);
    note_output(outcome);
    if (outcome.is_ill_posed) {
      ++report_.ill_posed;
    } else {
      const double error = outcome.is_finite ? outcome.error : std::numeric_limits<double>::infinity();
      report_.errors.push_back(error);
      if (!(error <= report_.worst)) report_.worst = error;
    }
    if (outcome.is_violation() && !failed_) failed_ = trial;
    if (trial.is_in_general_position && rule_.in_float && rule_.in_double) {
      ladder_double_.push_back(outcome.relative);
      ladder_float_.push_back(try_trial<float>(rule_.in_float, trial, engine).relative);
    }
  }

  /// A rule whose output never changes obeys too many laws.
  void note_output(const Outcome& outcome) {
    if (!outcome.is_finite) return;
    for (const WideMatrix& known : first_outputs_)
      if (shape_of(known) == shape_of(outcome.output)) {
        output_varies_ = output_varies_ || known != outcome.output;
        return;
      }
    first_outputs_.push_back(outcome.output);
  }

  Outcome try_highest(const Trial& trial, std::mt19937_64& engine) const {
    if (rule_.is_float_only()) return try_trial<float>(rule_.in_float, trial, engine);
    return try_trial<double>(rule_.in_double, trial, engine);
  }

  template <class Scalar>
  Outcome try_trial(const Direction<Scalar>& rule, const Trial& trial, std::mt19937_64& engine) const {
    return try_motion<Scalar>(rule, trial.motion, trial.weights, trial.gradient, law_.is_to_the_bit, engine);
  }

  void conclude(const std::string& heading) {
    std::sort(report_.errors.begin(), report_.errors.end());
    report_.ladder_ratio = ladder_ratio();
    report_.reproduce = "SYMOPT_REPRODUCE=\"" + heading + "|" + (failed_ ? failed_->id : seed_text()) + "\"";
    const int well_posed = report_.trials - report_.ill_posed;
    if (failed_) {
      report_.verdict = Verdict::violated;
      report_.counterexample = shrunk(*failed_);
      report_.reason =
          std::isfinite(report_.counterexample->error) ? law_.violation : "the output is not finite";
    } else if (!output_varies_) {
      report_.verdict = Verdict::vacuous;
      report_.reason = "the rule's output is the same for every input";
    } else if (law_.is_about_motion && !has_moved_) {
      report_.verdict = Verdict::vacuous;
      report_.reason = "no element of the group moved any input";
    } else if (2 * well_posed < report_.trials) {
      report_.verdict = Verdict::inconclusive;
      report_.reason =
          "rounding decides the output of most inputs: a rank cut-off, a tie, or a zero row "
          "under centring";
    } else {
      report_.verdict = Verdict::holds;
    }
  }

  double ladder_ratio() const {
    const auto largest = [](const std::vector<double>& values) {
      return values.empty() ? 0.0 : *std::max_element(values.begin(), values.end());
    };
    const double in_double = largest(ladder_double_);
    return in_double > 0 ? largest(ladder_float_) / in_double : 0;
  }

  // --- making a failure small

  /// False where the rule refuses the input: it may want whole heads.
  bool fails(const Trial& trial) const {
    std::mt19937_64 engine = engine_for(options_.seed, trial.id);
    try {
      const Outcome outcome = try_highest(trial, engine);
      return outcome.is_violation() && (!outcome.is_finite || outcome.relative >= clear_);
    } catch (const std::invalid_argument&) {
      return false;
    }
  }

  Counterexample shrunk(Trial trial) {
    {
      std::mt19937_64 engine = engine_for(options_.seed, trial.id);
      clear_ = 0.1 * try_highest(trial, engine).relative;
    }
    std::optional<SimpleMove> move;
    const Shape shape = shape_of(trial.gradient);
    for (const SimpleMove& candidate : law_.simple_moves(shape)) {
      Trial simpler = trial;
      simpler.motion = candidate.motion(shape);
      if (!fails(simpler)) continue;
      trial = std::move(simpler);
      move = candidate;
      break;
    }
    if (!move) use_generator(trial);
    if (move) remove_lines(trial, *move);
    simplify_entries(trial);
    std::mt19937_64 engine = engine_for(options_.seed, trial.id);
    const Outcome outcome = try_highest(trial, engine);
    return {trial.motion.name, trial.gradient.cast<double>(),
            outcome.is_finite ? outcome.relative : std::numeric_limits<double>::infinity()};
  }

  /// A generator that fails, in place of a product.
  void use_generator(Trial& trial) const {
    for (const Motion& generator : law_.generators(shape_of(trial.gradient))) {
      Trial simpler = trial;
      simpler.motion = generator;
      if (!fails(simpler)) continue;
      trial = std::move(simpler);
      return;
    }
  }

  static WideMatrix without(const WideMatrix& block, Side side, Index line) {
    WideMatrix rest = side == Side::left ? WideMatrix(block.rows() - 1, block.cols())
                                         : WideMatrix(block.rows(), block.cols() - 1);
    for (Index i = 0; i < rest.rows(); ++i)
      for (Index j = 0; j < rest.cols(); ++j)
        rest(i, j) = block(i + (side == Side::left && i >= line), j + (side == Side::right && j >= line));
    return rest;
  }

  /// Rows and columns without which it still fails.
  void remove_lines(Trial& trial, SimpleMove& move) const {
    for (const Side side : {Side::left, Side::right})
      for (Index line = line_count(shape_of(trial.gradient), side); line-- > 0;) {
        const auto kept = move.without(side, line);
        if (!kept || line_count(shape_of(trial.gradient), side) == 1) continue;
        Trial smaller = trial;
        smaller.gradient = without(trial.gradient, side, line);
        smaller.weights = without(trial.weights, side, line);
        if (!group_.fits(shape_of(smaller.gradient))) continue;
        smaller.motion = kept->motion(shape_of(smaller.gradient));
        if (!fails(smaller)) continue;
        trial = std::move(smaller);
        move = *kept;
      }
  }

  /// Entries as zero, one, minus one or a power of two where it still fails.
  void simplify_entries(Trial& trial) const {
    for (Index i = 0; i < trial.gradient.rows(); ++i)
      for (Index j = 0; j < trial.gradient.cols(); ++j) {
        const Wide entry = trial.gradient(i, j);
        if (entry == 0 || !std::isfinite(entry)) continue;
        const Wide power = std::copysign(std::exp2(std::round(std::log2(std::abs(entry)))), entry);
        for (const Wide simple : {Wide(0), Wide(1), Wide(-1), power}) {
          if (entry == simple) break;
          Trial simpler = trial;
          simpler.gradient(i, j) = simple;
          if (law_.prepare(simpler.gradient) != simpler.gradient || !fails(simpler)) continue;
          trial = std::move(simpler);
          break;
        }
      }
  }

  Law law_;
  const AnyGroup& group_;
  const AnyRule& rule_;
  CheckOptions options_;
  Report report_;
  bool has_moved_ = false;
  bool output_varies_ = false;
  std::vector<WideMatrix> first_outputs_;  // of each shape
  std::optional<Trial> failed_;
  double clear_ = 0;  // a smaller trial must fail by that much of its output
  std::vector<double> ladder_double_, ladder_float_;
};

}  // namespace detail

}  // namespace symopt::check
