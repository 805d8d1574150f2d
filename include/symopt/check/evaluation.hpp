// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/check/any_rule.hpp>
#include <symopt/check/rounding_direction.hpp>
#include <symopt/check/tolerance.hpp>
#include <symopt/group/random.hpp>

#include <algorithm>
#include <cmath>
#include <optional>
#include <random>
#include <utility>

// A rule called on one input, and what rounding alone can do to its answer.
namespace symopt { inline namespace SYMOPT_ABI { namespace check::detail {

/// The block with every entry moved by one rounding, up or down; zeros stay.
WideMatrix rounded_once(Precision precision, WideMatrix block, std::mt19937_64& engine);

/// The rule's direction, widened.
WideMatrix direction_of(const AnyRule& rule, Precision precision, const WideMatrix& weights,
                        const WideMatrix& gradient);

/// An estimate of the rounding error that a rule's own arithmetic makes in double: its difference from the
/// rule in float, times the ratio of the two roundoffs. An inverse or an iteration rounds more than small
/// changes of its input show. At most 2e-9 of the direction, so that a tolerance of 32 such errors, 6e-8,
/// hides no wrong rule; zero where float overflows.
double own_rounding(const WideMatrix& in_float, const WideMatrix& in_double);

/// An input in one precision with the rule's direction there, and the most that rounding can change it: of
/// the input, when every entry of weights and gradient moves by one rounding, or of the rule's own
/// arithmetic, which rounds otherwise at each of these inputs. Not finite as soon as one of these directions
/// is not.
class Evaluation {
 public:
  Evaluation(const AnyRule& rule, Precision in, const WideMatrix& at_weights, const WideMatrix& at_gradient,
             std::mt19937_64& engine);

  const AnyRule& rule() const { return *rule_; }
  /// Raises the change to what that many inputs nearby show, each one rounding away.
  void look_around(int draws, std::mt19937_64& engine);
  /// Raises the change to what so many pairs of inputs show, some dozen roundings to either side: twice the
  /// direction less those of a pair. Their smooth change cancels, and what the rule's own arithmetic rounds
  /// stays. It may be the same at all inputs that are one rounding away, say in a sum of squares near one.
  /// Source: More and Wild, "Estimating computational noise", SIAM J. Sci. Comput. 33 (2011): the second
  /// differences.
  void look_across(int pairs, std::mt19937_64& engine);
  /// Measures what the rule's own arithmetic rounds at this very input: the most that its direction changes
  /// when the machine rounds up, down or toward zero, and no more than a thousand times what inputs show that
  /// are one rounding away, of which it is to be called after look_around(): a rule that asks the machine
  /// for its rounding, as std::nearbyint does, jumps by it, whatever its input. Raises the change to it.
  /// Nothing where the rule computes in other threads, or elsewhere.
  void round_otherwise();
  /// Raises the change to what the direction at an input shows that differs from this one by rounding alone.
  void look_at(const WideMatrix& near_weights, const WideMatrix& near_gradient);
  /// Tests whether all repeated calls on one input gave one answer.
  bool is_function() const { return !answers_; }
  /// Calls the rule on the input once more.
  void call_again() { compare_answers(direction, weights, gradient); }
  /// The rounding of the weights in a direction that is their change; 0 for other rules.
  double rounding_of_weights() const {
    if (!rule_->is_change_of_weights) return 0;
    return roundoff(precision) * steps_of_state * static_cast<double>(norm(weights));
  }
  /// The two answers of a rule that is not a function of its input.
  const std::pair<WideMatrix, WideMatrix>& answers() const { return *answers_; }

  Precision precision;
  WideMatrix weights, gradient, direction;
  double change = 0;
  double change_of_rounding = 0;  ///< the part of it that round_otherwise() saw
  bool has_shape = true;
  bool is_finite = true;  ///< and of the gradient's shape

 private:
  void compare_answers(const WideMatrix& first, const WideMatrix& at_weights, const WideMatrix& at_gradient);

  const AnyRule* rule_;
  std::optional<std::pair<WideMatrix, WideMatrix>> answers_;
};

#ifdef SYMOPT_CHECK_DEFINITIONS
SYMOPT_CHECK_INLINE WideMatrix rounded_once(Precision precision, WideMatrix block, std::mt19937_64& engine) {
  const double unit = roundoff(precision);
  for (Index k = 0; k < block.size(); ++k) {
    const double factor = uniform_index(2, engine) == 1 ? 1 + unit : 1 - unit;
    block.data()[k] = static_cast<Wide>(static_cast<double>(block.data()[k]) * factor);
  }
  return rounded_to(precision, std::move(block));
}

SYMOPT_CHECK_INLINE WideMatrix direction_of(const AnyRule& rule, Precision precision,
                                            const WideMatrix& weights, const WideMatrix& gradient) {
  if (precision == Precision::in_float)
    return widened(rule.in_float(converted<float>(weights), converted<float>(gradient)));
  return widened(rule.in_double(converted<double>(weights), converted<double>(gradient)));
}

SYMOPT_CHECK_INLINE double own_rounding(const WideMatrix& in_float, const WideMatrix& in_double) {
  constexpr Wide finer = 0x1p-29L;  // the roundoff of double over that of float
  if (!is_finite(in_float) || shape_of(in_float) != shape_of(in_double)) return 0;
  return static_cast<double>(finer * std::min(distance(in_float, in_double), norm(in_double)));
}

SYMOPT_CHECK_INLINE Evaluation::Evaluation(const AnyRule& rule, Precision in, const WideMatrix& at_weights,
                                           const WideMatrix& at_gradient, std::mt19937_64& engine)
    : precision(in),
      weights(rounded_to(in, at_weights)),
      gradient(rounded_to(in, at_gradient)),
      direction(direction_of(rule, in, weights, gradient)),
      has_shape(shape_of(direction) == shape_of(gradient)),
      is_finite(has_shape && detail::is_finite(direction)),
      rule_(&rule) {
  // Numbers below the normal range are rounded to a multiple of the smallest.
  change = least_number(in) * std::sqrt(static_cast<double>(direction.size()));
  change += rounding_of_weights();
  constexpr int draws = 4;
  look_around(draws, engine);
  if (is_finite && in == Precision::in_double && rule.in_float)
    change =
        std::max(change, own_rounding(direction_of(rule, Precision::in_float, weights, gradient), direction));
}

SYMOPT_CHECK_INLINE void Evaluation::look_around(int draws, std::mt19937_64& engine) {
  for (int k = 0; k < draws && is_finite; ++k) {
    const WideMatrix near_gradient = rounded_once(precision, gradient, engine);
    look_at(rounded_once(precision, weights, engine), near_gradient);
  }
}

/// The block plus as many times the difference, rounded.
SYMOPT_CHECK_INLINE WideMatrix displaced(Precision precision, const WideMatrix& block,
                                         const WideMatrix& difference, Wide times) {
  return rounded_to(precision, sum(block, difference, times));
}

SYMOPT_CHECK_INLINE void Evaluation::look_across(int pairs, std::mt19937_64& engine) {
  constexpr double reach = 32;  // roundings
  const auto difference = [&](WideMatrix block) {
    const double unit = 2 * reach * roundoff(precision);
    for (Index k = 0; k < block.size(); ++k)
      block.data()[k] *= static_cast<Wide>(unit * (uniform_number(engine) - 0.5));
    return block;
  };
  for (int k = 0; k < pairs && is_finite; ++k) {
    const WideMatrix of_weights = difference(weights), of_gradient = difference(gradient);
    const auto beside = [&](Wide side) {
      return direction_of(*rule_, precision, displaced(precision, weights, of_weights, side),
                          displaced(precision, gradient, of_gradient, side));
    };
    const WideMatrix ahead = beside(1), behind = beside(-1);
    has_shape = shape_of(ahead) == shape_of(direction) && shape_of(behind) == shape_of(direction);
    is_finite = has_shape && detail::is_finite(ahead) && detail::is_finite(behind);
    if (is_finite)
      change = std::max(
          change, static_cast<double>(distance(sum(ahead, direction, -1), sum(direction, behind, -1)) / 2));
  }
}

SYMOPT_CHECK_INLINE void Evaluation::look_at(const WideMatrix& near_weights,
                                             const WideMatrix& near_gradient) {
  const WideMatrix nearby = direction_of(*rule_, precision, near_weights, near_gradient);
  has_shape = has_shape && shape_of(nearby) == shape_of(direction);
  is_finite = has_shape && is_finite && detail::is_finite(nearby);
  if (!is_finite) return;
  const double difference = static_cast<double>(distance(nearby, direction));
  change = std::max(change, difference);
  // A rule that errs now and then must not pass for one that rounding decides.
  if (tolerance.is_ill_posed(difference, static_cast<double>(norm(direction))))
    compare_answers(nearby, near_weights, near_gradient);
}

SYMOPT_CHECK_INLINE void Evaluation::round_otherwise() {
  for (const int direction_of_rounding : rounding_directions) {
    const RoundingDirection rounding(direction_of_rounding);
    const WideMatrix otherwise = direction_of(*rule_, precision, weights, gradient);
    if (shape_of(otherwise) != shape_of(direction) || !detail::is_finite(otherwise)) continue;
    const double difference = static_cast<double>(distance(otherwise, direction));
    change_of_rounding = std::max(change_of_rounding, difference);
    // As in look_at(): the answer under this direction has to be one, too.
    if (tolerance.is_ill_posed(difference, static_cast<double>(norm(direction))))
      compare_answers(otherwise, weights, gradient);
  }
  constexpr double most = 1e3;
  const double shown = std::max(change, roundoff(precision) * static_cast<double>(norm(direction)));
  change_of_rounding = std::min(change_of_rounding, most * shown);
  change = std::max(change, change_of_rounding);
}

SYMOPT_CHECK_INLINE void Evaluation::compare_answers(const WideMatrix& first, const WideMatrix& at_weights,
                                                     const WideMatrix& at_gradient) {
  WideMatrix second = direction_of(*rule_, precision, at_weights, at_gradient);
  const bool are_numbers = detail::is_finite(first) && detail::is_finite(second);
  if (are_numbers && !is_equal(first, second)) answers_.emplace(first, std::move(second));
}
#endif

}}}  // namespace symopt::check::detail
