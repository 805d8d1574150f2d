// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/check/any_rule.hpp>
#include <symopt/check/motion.hpp>

#include <algorithm>
#include <cmath>
#include <concepts>
#include <limits>
#include <optional>
#include <random>
#include <string>
#include <utility>

// One trial of a law, in one precision: U(gW, g_* G) against Dg U(W, G).
namespace symopt { inline namespace SYMOPT_ABI { namespace check::detail {

struct Outcome {
  double error = 0;     ///< the violation over what rounding allows
  double relative = 0;  ///< the violation over the size of the output
  bool is_ill_posed = false;
  bool has_moved_gradient = false;
  bool has_moved_weights = false;
  bool is_finite = true;
  WideMatrix output;    ///< U(W, G)
  WideMatrix actual;    ///< U(gW, g_* G); empty when not finite, as is the next
  WideMatrix expected;  ///< Dg U(W, G)

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

/// The block with every entry moved by one rounding, up or down; zeros stay.
template <class Scalar>
Matrix<Scalar> rounded_once(const Matrix<Scalar>& block, std::mt19937_64& engine) {
  constexpr Scalar unit = std::numeric_limits<Scalar>::epsilon();
  std::bernoulli_distribution coin;
  return block.unaryExpr([&](Scalar x) { return x * (1 + (coin(engine) ? unit : -unit)); });
}

/// What the arithmetic of a rule rounds in double. An inverse or an iteration rounds what no small change of
/// its input shows; the same rule in float shows it, as many times larger as float is coarser. At most 2e-9
/// of the result, for which 6e-8 are allowed then: no wrong rule hides there. Zero where float overflows.
inline double own_rounding_of(const Matrix<float>& in_float, const Matrix<double>& in_double) {
  constexpr double finer = 0x1p-29;  // the roundoff of double over that of float
  if (!in_float.allFinite() || shape_of(in_float) != shape_of(in_double)) return 0;
  return finer * std::min((in_float.cast<double>() - in_double).stableNorm(), in_double.stableNorm());
}

template <class Scalar>
const Direction<Scalar>& direction_in(const AnyRule& rule) {
  if constexpr (std::same_as<Scalar, float>) {
    return rule.in_float;
  } else {
    return rule.in_double;
  }
}

/// An input with the rule's direction there, and the most that rounding can change it: of the input, when
/// every entry of weights and gradient moves by one rounding, or of the rule's own arithmetic, whichever is
/// more. Not finite as soon as one of these directions is not.
template <class Scalar>
struct Evaluation {
  Matrix<Scalar> weights, gradient, direction;
  double change = 0;
  bool is_finite = true;

  Evaluation(const AnyRule& any, const WideMatrix& wide_weights, const WideMatrix& wide_gradient,
             std::mt19937_64& engine)
      : weights(wide_weights.template cast<Scalar>()), gradient(wide_gradient.template cast<Scalar>()) {
    const Direction<Scalar>& rule = direction_in<Scalar>(any);
    direction = rule(weights, gradient);
    constexpr int draws = 4;
    is_finite = direction.allFinite() && shape_of(direction) == shape_of(gradient);
    for (int k = 0; k < draws && is_finite; ++k) {
      const Matrix<Scalar> near_gradient = rounded_once(gradient, engine);
      const Matrix<Scalar> near = rule(rounded_once(weights, engine), near_gradient);
      is_finite = near.allFinite() && shape_of(near) == shape_of(direction);
      if (is_finite)
        change = std::max(change, static_cast<double>((widened(near) - widened(direction)).stableNorm()));
    }
    if constexpr (std::same_as<Scalar, double>)
      if (is_finite && any.in_float) change = std::max(change, own_rounding(any.in_float));
  }

 private:
  double own_rounding(const Direction<float>& in_float) const {
    return own_rounding_of(in_float(weights.template cast<float>(), gradient.template cast<float>()),
                           direction);
  }
};

/// Allowed is 32 times what rounding can change. Where rounding can change more than a thousandth of the
/// output, it decides and the trial is ill-posed. Not so for integers that the element moves to integers:
/// nothing was rounded before the rule began, so there is no excuse but its own arithmetic, which may square
/// the input and so lose half of its digits.
template <class Scalar>
Outcome try_motion(const AnyRule& rule, const Evaluation<Scalar>& still, const Motion& motion,
                   bool to_the_bit, std::mt19937_64& engine) {
  constexpr double unit = static_cast<double>(std::numeric_limits<Scalar>::epsilon());
  const WideMatrix wide_gx = motion.on_gradient(widened(still.gradient));
  const WideMatrix wide_gw = motion.on_weights(widened(still.weights));
  const Evaluation<Scalar> moved(rule, wide_gw, wide_gx, engine);

  Outcome outcome;
  outcome.output = widened(still.direction);
  outcome.has_moved_gradient = moved.gradient != still.gradient;
  outcome.has_moved_weights = moved.weights != still.weights;
  outcome.is_finite = still.is_finite && moved.is_finite;
  if (!outcome.is_finite) return outcome;

  outcome.actual = widened(moved.direction);
  outcome.expected = motion.on_update(outcome.output);
  const double violation = static_cast<double>((outcome.actual - outcome.expected).stableNorm());
  const double size = static_cast<double>(
      std::max({outcome.output.stableNorm(), outcome.expected.stableNorm(), outcome.actual.stableNorm()}));
  outcome.relative = violation == 0 ? 0 : violation / size;
  const bool is_exact =
      is_integer(widened(still.gradient)) && is_integer(wide_gx) && widened(moved.weights) == wide_gw;
  if (to_the_bit) {
    outcome.error = violation == 0 ? 0 : std::numeric_limits<double>::infinity();
  } else if (is_exact) {
    outcome.error = outcome.relative / (32 * std::sqrt(unit));
  } else {
    const double change = std::max(still.change, moved.change);
    outcome.error = violation == 0 ? 0 : violation / (32 * (change + unit * size));
    outcome.is_ill_posed = !(change <= 1e-3 * size);
  }
  return outcome;
}

struct Input {
  std::string kind;
  WideMatrix weights, gradient;
};

/// An input as the rule sees it in its highest precision, tried under one motion after the other.
class Subject {
 public:
  Subject(const AnyRule& rule, Input input, std::mt19937_64 engine) : rule_(rule), input_(std::move(input)) {
    if (rule.is_float_only()) {
      in_float_.emplace(rule, input_.weights, input_.gradient, engine);
    } else {
      in_double_.emplace(rule, input_.weights, input_.gradient, engine);
    }
    if (rule.doubt) doubt_ = rule.doubt(input_.weights.cast<double>(), input_.gradient.cast<double>());
  }

  const Input& input() const { return input_; }
  /// Why the rule says that its direction here is approximate; empty when it does not.
  const std::string& doubt() const { return doubt_; }

  Outcome under(const Motion& motion, bool to_the_bit, std::mt19937_64 engine) const {
    Outcome outcome = in_double_ ? try_motion(rule_, *in_double_, motion, to_the_bit, engine)
                                 : try_motion(rule_, *in_float_, motion, to_the_bit, engine);
    if (!doubt_.empty()) outcome.is_ill_posed = true;
    return outcome;
  }

 private:
  const AnyRule& rule_;
  Input input_;
  std::string doubt_;
  std::optional<Evaluation<double>> in_double_;
  std::optional<Evaluation<float>> in_float_;
};

}}}  // namespace symopt::check::detail
