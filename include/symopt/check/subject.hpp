// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/check/any_rule.hpp>
#include <symopt/check/motion.hpp>
#include <symopt/check/outcome.hpp>

#include <algorithm>
#include <cmath>
#include <optional>
#include <random>
#include <string>
#include <utility>

// One trial of a law of motions: U(gW, g_* G) against Dg U(W, G).
namespace symopt { inline namespace SYMOPT_ABI { namespace check::detail {

/// What a rule is given.
struct Input {
  std::string kind;
  WideMatrix weights, gradient;
};

/// The two sides of a law in one trial.
struct Comparison {
  Outcome outcome;
  WideMatrix output;    ///< U(W, G)
  WideMatrix actual;    ///< U(gW, g_* G); empty when not finite, as is the next
  WideMatrix expected;  ///< Dg U(W, G)
};

/// Every entry an integer of at most 1024: sums and products of such are not rounded.
bool is_integer(const WideMatrix& block);

/// The block with every entry moved by one rounding, up or down; zeros stay.
WideMatrix rounded_once(Precision precision, WideMatrix block, std::mt19937_64& engine);

/// What the arithmetic of a rule rounds in double. An inverse or an iteration rounds what no small change of
/// its input shows; the same rule in float shows it, as many times larger as float is coarser. At most 2e-9
/// of the result, for which 6e-8 are allowed then: no wrong rule hides there. Zero where float overflows.
double own_rounding(const WideMatrix& in_float, const WideMatrix& in_double);

/// An input in one precision with the rule's direction there, and the most that rounding can change it: of
/// the input, when every entry of weights and gradient moves by one rounding, or of the rule's own
/// arithmetic, whichever is more. Not finite as soon as one of these directions is not.
struct Evaluation {
  Precision precision;
  WideMatrix weights, gradient, direction;
  double change = 0;
  bool is_finite = true;

  Evaluation(const AnyRule& rule, Precision in, const WideMatrix& at_weights, const WideMatrix& at_gradient,
             std::mt19937_64& engine);
};

/// An input as a rule sees it in its highest precision, tried under one motion after the other.
class Subject {
 public:
  Subject(const AnyRule& rule, Input input, std::mt19937_64 engine);

  const Input& input() const { return input_; }
  Comparison under(const Motion& motion, bool to_the_bit, std::mt19937_64 engine) const;
  /// The violation once more in float, over the size of the output.
  double relative_in_float(const Motion& motion, std::mt19937_64 engine) const;

 private:
  const AnyRule& rule_;
  Input input_;
  Evaluation still_;
  std::string approximation_reason_;
};

#ifdef SYMOPT_CHECK_DEFINITIONS
SYMOPT_CHECK_INLINE bool is_integer(const WideMatrix& block) {
  return std::all_of(block.data(), block.data() + block.size(),
                     [](Wide entry) { return entry == std::round(entry) && std::abs(entry) <= 1024; });
}

SYMOPT_CHECK_INLINE WideMatrix rounded_once(Precision precision, WideMatrix block, std::mt19937_64& engine) {
  const double unit = roundoff(precision);
  std::bernoulli_distribution coin;
  for (Index k = 0; k < block.size(); ++k) {
    const double factor = coin(engine) ? 1 + unit : 1 - unit;
    block.data()[k] = static_cast<Wide>(static_cast<double>(block.data()[k]) * factor);
  }
  return rounded_to(precision, std::move(block));
}

SYMOPT_CHECK_INLINE double own_rounding(const WideMatrix& in_float, const WideMatrix& in_double) {
  constexpr Wide finer = 0x1p-29L;  // the roundoff of double over that of float
  if (!is_finite(in_float) || symopt::detail::shape_of(in_float) != symopt::detail::shape_of(in_double))
    return 0;
  return static_cast<double>(finer * std::min(distance(in_float, in_double), norm(in_double)));
}

/// The rule's direction, widened.
SYMOPT_CHECK_INLINE WideMatrix direction_of(const AnyRule& rule, Precision precision,
                                            const WideMatrix& weights, const WideMatrix& gradient) {
  if (precision == Precision::in_float)
    return widened(rule.in_float(converted<float>(weights), converted<float>(gradient)));
  return widened(rule.in_double(converted<double>(weights), converted<double>(gradient)));
}

SYMOPT_CHECK_INLINE Evaluation::Evaluation(const AnyRule& rule, Precision in, const WideMatrix& at_weights,
                                           const WideMatrix& at_gradient, std::mt19937_64& engine)
    : precision(in),
      weights(rounded_to(in, at_weights)),
      gradient(rounded_to(in, at_gradient)),
      direction(direction_of(rule, in, weights, gradient)) {
  constexpr int draws = 4;
  is_finite = detail::is_finite(direction) &&
              symopt::detail::shape_of(direction) == symopt::detail::shape_of(gradient);
  for (int k = 0; k < draws && is_finite; ++k) {
    const WideMatrix near_gradient = rounded_once(in, gradient, engine);
    const WideMatrix nearby = direction_of(rule, in, rounded_once(in, weights, engine), near_gradient);
    is_finite =
        detail::is_finite(nearby) && symopt::detail::shape_of(nearby) == symopt::detail::shape_of(direction);
    if (is_finite) change = std::max(change, static_cast<double>(distance(nearby, direction)));
  }
  if (is_finite && in == Precision::in_double && rule.in_float)
    change =
        std::max(change, own_rounding(direction_of(rule, Precision::in_float, weights, gradient), direction));
}

/// Integers that the element moves to integers are not excused by rounding: nothing was rounded before the
/// rule began, so there is no excuse but its own arithmetic, which may square the input and so lose half of
/// its digits.
SYMOPT_CHECK_INLINE Comparison compare(const AnyRule& rule, const Evaluation& still, const Motion& motion,
                                       bool to_the_bit, std::mt19937_64& engine) {
  const WideMatrix moved_gradient = motion.on_gradient(still.gradient);
  const WideMatrix moved_weights = motion.on_weights(still.weights);
  const Evaluation moved(rule, still.precision, moved_weights, moved_gradient, engine);

  Comparison result{.outcome = {}, .output = still.direction, .actual = {}, .expected = {}};
  const bool is_finite = still.is_finite && moved.is_finite;
  if (is_finite) {
    result.actual = moved.direction;
    result.expected = motion.on_update(result.output);
    const double violation = static_cast<double>(distance(result.actual, result.expected));
    const double size =
        static_cast<double>(std::max({norm(result.output), norm(result.expected), norm(result.actual)}));
    const double unit = roundoff(still.precision);
    result.outcome = outcome_of(violation, size, std::max(still.change, moved.change), unit);
    const bool is_exact =
        is_integer(still.gradient) && is_integer(moved_gradient) && is_equal(moved.weights, moved_weights);
    if (to_the_bit || is_exact) {
      result.outcome.is_ill_posed = false;
      result.outcome.error = tolerance.error(result.outcome.relative, to_the_bit ? 0 : std::sqrt(unit));
    }
  }
  result.outcome.is_finite = is_finite;
  result.outcome.has_moved = !is_equal(moved.gradient, still.gradient) ||
                             (rule.sees_weights && !is_equal(moved.weights, still.weights));
  return result;
}

SYMOPT_CHECK_INLINE Subject::Subject(const AnyRule& rule, Input input, std::mt19937_64 engine)
    : rule_(rule),
      input_(std::move(input)),
      still_(rule, rule.precision(), input_.weights, input_.gradient, engine) {
  if (rule.approximation_reason)
    approximation_reason_ =
        rule.approximation_reason(converted<double>(input_.weights), converted<double>(input_.gradient));
}

SYMOPT_CHECK_INLINE Comparison Subject::under(const Motion& motion, bool to_the_bit,
                                              std::mt19937_64 engine) const {
  Comparison comparison = compare(rule_, still_, motion, to_the_bit, engine);
  comparison.outcome.approximation_reason = approximation_reason_;
  if (!approximation_reason_.empty()) comparison.outcome.is_ill_posed = true;
  return comparison;
}

SYMOPT_CHECK_INLINE double Subject::relative_in_float(const Motion& motion, std::mt19937_64 engine) const {
  const Evaluation still(rule_, Precision::in_float, input_.weights, input_.gradient, engine);
  return compare(rule_, still, motion, false, engine).outcome.relative;
}
#endif

}}}  // namespace symopt::check::detail
