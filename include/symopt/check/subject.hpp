// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/check/evaluation.hpp>
#include <symopt/check/motion.hpp>
#include <symopt/check/outcome.hpp>

#include <algorithm>
#include <cmath>
#include <optional>
#include <random>
#include <string>
#include <tuple>
#include <utility>

// One trial of a law of motions: U(gW, g_* G) against Dg U(W, G).
namespace symopt { inline namespace SYMOPT_ABI { namespace check::detail {

/// An input of a rule: weights and gradient, and their kind.
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

/// How a trial is judged.
struct Judgement {
  bool is_to_the_bit = false;  ///< nothing is allowed for rounding
  /// A violation is believed only after many more inputs nearby have been tried: the four of the first look
  /// may all miss by chance how far rounding moves the output.
  bool looks_twice = true;
};

/// An input as a rule sees it in its highest precision, tried under one motion after the other.
class Subject {
 public:
  Subject(const AnyRule& rule, Input input, std::mt19937_64 engine);

  const AnyRule& rule() const { return still_.rule(); }
  const Input& input() const { return input_; }
  Comparison under(const Motion& motion, const Judgement& judgement, std::mt19937_64 engine) const;

 private:
  Input input_;
  Evaluation still_;
  std::string approximation_reason_;
};

#ifdef SYMOPT_CHECK_DEFINITIONS
SYMOPT_CHECK_INLINE bool is_integer(const WideMatrix& block) {
  return std::all_of(block.data(), block.data() + block.size(),
                     [](Wide entry) { return entry == std::round(entry) && std::abs(entry) <= 1024; });
}

/// The input with the motion undone on a moved one, one rounding from it or less: the element rounds entries
/// of the moved input that it mixes, and this is what that makes of the input itself.
SYMOPT_CHECK_INLINE void look_back(Evaluation& still, const Motion& motion, const WideMatrix& moved_weights,
                                   const WideMatrix& moved_gradient) {
  if (!motion.weights_back) return;
  const WideMatrix weights = still.rule().sees_weights
                                 ? rounded_to(still.precision, motion.weights_back(moved_weights))
                                 : still.weights;
  const WideMatrix gradient = rounded_to(still.precision, motion.gradient_back(moved_gradient));
  if (is_equal(gradient, still.gradient) && is_equal(weights, still.weights)) return;
  still.look_at(weights, gradient);
}

/// The output as it came when there is nothing to compare it with.
SYMOPT_CHECK_INLINE Comparison defect_of(const Evaluation& evaluation) {
  Comparison result{.outcome = {}, .output = evaluation.direction, .actual = {}, .expected = {}};
  Outcome& outcome = result.outcome;
  outcome.is_function = evaluation.is_function();
  outcome.has_shape = evaluation.has_shape;
  outcome.is_finite = is_finite(evaluation.direction) && (evaluation.is_finite || !evaluation.has_shape);
  outcome.relative = infinity;
  if (!outcome.is_function) {
    outcome.is_finite = true;
    std::tie(result.actual, result.expected) = evaluation.answers();
    if (shape_of(result.actual) == shape_of(result.expected))
      outcome.relative = static_cast<double>(distance(result.actual, result.expected) /
                                             std::max(norm(result.actual), norm(result.expected)));
  } else if (!evaluation.has_shape) {
    result.actual = evaluation.direction;
  }
  return result;
}

/// Tests whether the direction can be compared with another: it is finite, and repeated calls agree on it.
SYMOPT_CHECK_INLINE bool is_sound(const Evaluation& evaluation) {
  return evaluation.is_function() && evaluation.is_finite;
}

/// How much a motion stretches the rounding of weights that a direction has when it is their change; 1 for
/// other rules, whose own rounding at the moved input says it.
SYMOPT_CHECK_INLINE double stretch(const AnyRule& rule, const WideMatrix& output, const WideMatrix& moved) {
  if (!rule.is_change_of_weights || !(norm(moved) > norm(output)) || !(norm(output) > 0)) return 1;
  return static_cast<double>(norm(moved) / norm(output));
}

/// Integers that the element moves to integers are hardly excused by rounding: nothing was rounded before the
/// rule began, so there is no excuse but its own arithmetic, which may square the input and so lose half of
/// its digits, or amplify what it rounds, or break a tie by it: then that is measured at this very input. A
/// tie that the rule breaks without rounding is broken alike in all directions of rounding.
SYMOPT_CHECK_INLINE Comparison compare(Evaluation still, const Motion& motion, const Judgement& judgement,
                                       std::mt19937_64& engine) {
  const bool sees_weights = still.rule().sees_weights;
  const WideMatrix moved_gradient = motion.on_gradient(still.gradient);
  const WideMatrix moved_weights = sees_weights ? motion.on_weights(still.weights) : still.weights;
  Evaluation moved(still.rule(), still.precision, moved_weights, moved_gradient, engine);
  look_back(still, motion, moved.weights, moved.gradient);
  const bool has_moved =
      !is_equal(moved.gradient, still.gradient) || (sees_weights && !is_equal(moved.weights, still.weights));
  const bool is_exact =
      is_integer(still.gradient) && is_integer(moved_gradient) && is_equal(moved.weights, moved_weights);

  Comparison result{.outcome = {}, .output = still.direction, .actual = {}, .expected = {}};
  const auto judge = [&] {
    if (!is_sound(still) || !is_sound(moved)) {
      result = defect_of(is_sound(still) ? moved : still);
    } else {
      result.actual = moved.direction;
      result.expected = motion.on_update(result.output);
      const double violation = static_cast<double>(distance(result.actual, result.expected));
      const double size =
          static_cast<double>(std::max({norm(result.output), norm(result.expected), norm(result.actual)}));
      const double unit = roundoff(still.precision);
      const double stretched = stretch(still.rule(), result.output, result.expected);
      const double change = std::max(still.change * stretched, moved.change);
      result.outcome = outcome_of(violation, size, change, unit);
      if (judgement.is_to_the_bit) {
        result.outcome.is_ill_posed = false;
        result.outcome.error = tolerance.error(result.outcome.relative, 0);
      } else if (is_exact) {
        const double of_rule = std::max(still.change_of_rounding * stretched, moved.change_of_rounding);
        const double of_weights =
            std::max(still.rounding_of_weights() * stretched, moved.rounding_of_weights());
        const double share = size > 0 ? std::max(of_rule, of_weights) / size : 0;
        result.outcome.is_ill_posed = tolerance.is_ill_posed(of_rule, size);
        result.outcome.error = tolerance.error(result.outcome.relative, std::max(std::sqrt(unit), share));
      }
    }
    result.outcome.has_moved = has_moved;
  };
  judge();
  if (result.outcome.is_violation()) {  // a hidden state may have changed since the first calls
    for (Evaluation* evaluation : {&still, &moved})
      if (is_sound(*evaluation)) evaluation->call_again();
    judge();
  }
  const auto is_excusable = [&] {
    return result.outcome.is_violation() && !result.outcome.is_defective() && !judgement.is_to_the_bit;
  };
  if (!is_excusable()) return result;
  constexpr int draws = 12;
  if (is_exact || judgement.looks_twice)
    for (Evaluation* evaluation : {&still, &moved}) {
      evaluation->look_around(draws, engine);
      evaluation->look_across(draws, engine);
    }
  if (!is_exact && judgement.looks_twice)
    for (int k = 0; k < draws && still.is_finite; ++k)
      look_back(still, motion, rounded_once(still.precision, moved.weights, engine),
                rounded_once(still.precision, moved.gradient, engine));
  for (Evaluation* evaluation : {&still, &moved}) evaluation->round_otherwise();
  judge();
  return result;
}

SYMOPT_CHECK_INLINE Subject::Subject(const AnyRule& rule, Input input, std::mt19937_64 engine)
    : input_(std::move(input)), still_(rule, rule.precision(), input_.weights, input_.gradient, engine) {
  if (still_.is_finite) still_.call_again();
  if (rule.approximation_reason)
    approximation_reason_ =
        rule.approximation_reason(converted<double>(input_.weights), converted<double>(input_.gradient));
}

SYMOPT_CHECK_INLINE Comparison Subject::under(const Motion& motion, const Judgement& judgement,
                                              std::mt19937_64 engine) const {
  Comparison comparison = compare(still_, motion, judgement, engine);
  comparison.outcome.approximation_reason = approximation_reason_;
  if (!approximation_reason_.empty()) comparison.outcome.is_ill_posed = true;
  return comparison;
}
#endif

}}}  // namespace symopt::check::detail
