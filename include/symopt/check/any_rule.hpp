// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/check/any_optimizer.hpp>
#include <symopt/check/approximation.hpp>
#include <symopt/check/wide.hpp>
#include <symopt/optimizer/rule.hpp>
#include <symopt/optimizer/rule_traits.hpp>

#include <concepts>
#include <functional>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>

namespace symopt { inline namespace SYMOPT_ABI { namespace check {

/// A rule as checks call it: the direction for weights and gradient, in one precision.
template <class Scalar>
using Direction =
    std::function<Matrix<Scalar>(const Matrix<Scalar>& weights, const Matrix<Scalar>& gradient)>;

/// A rule with its type hidden, in the precisions that it has. Either may be empty, not both.
///   a callable on a matrix    is called with the gradient; generic, or for float or double alone
///   a callable on two         is called with the weights and the gradient, in this order: decay, a mask
///   a stateful rule           takes three steps from a new state with the same weights and gradient, so that
///                             its state matters; the last direction counts
///   an optimizer's factory    makes one from a Shape or from (rows, cols), which then takes three steps; the
///                             change of the weights counts
struct AnyRule {
  std::string name;  ///< that of its type; of a lambda "a callable", unless the options of the check name it
  Direction<double> in_double;
  Direction<float> in_float;
  bool sees_weights = false;
  /// The direction is the difference of weights before and after a step, so it has their rounding.
  bool is_change_of_weights = false;
  /// Why the rule itself calls its direction for that input approximate; empty text where it does not, no
  /// function for rules that say nothing about it. A report with `is_exact` and `reason`, from
  /// rule.report(gradient) or in its state, says it.
  std::function<std::string(const Matrix<double>& weights, const Matrix<double>& gradient)>
      approximation_reason{};

  /// The highest precision that it has.
  Precision precision() const { return in_double ? Precision::in_double : Precision::in_float; }
  bool has_both_precisions() const { return in_double && in_float; }
};

namespace detail {

template <class Rule, class Scalar>
concept MapsMatrices = requires(const Rule& rule, const Matrix<Scalar>& block) {
  {Matrix<Scalar>(rule(block))};
};

template <class Rule, class Scalar>
concept MapsWeightsAndGradient = requires(const Rule& rule, const Matrix<Scalar>& block) {
  {Matrix<Scalar>(rule(block, block))};
};

/// A lambda for float matrices must not be taken for one that computes in double, nor the other way round.
template <class Rule, class Scalar>
concept MapsMatricesOf = MapsMatrices<Rule, Scalar> &&
    std::same_as<typename std::remove_cvref_t<decltype(std::declval<const Rule&>()(
                     std::declval<const Matrix<Scalar>&>()))>::Scalar,
                 Scalar>;
template <class Rule, class Scalar>
concept MapsWeightsAndGradientOf = MapsWeightsAndGradient<Rule, Scalar> &&
    std::same_as<typename std::remove_cvref_t<decltype(std::declval<const Rule&>()(
                     std::declval<const Matrix<Scalar>&>(), std::declval<const Matrix<Scalar>&>()))>::Scalar,
                 Scalar>;

template <class Rule, class Scalar>
concept SeesWeights = StatefulRule<Rule, Scalar> || MapsWeightsAndGradientOf<Rule, Scalar>;

template <class Rule>
concept IsMap = SeesWeights<Rule, double> || SeesWeights<Rule, float> || MapsMatricesOf<Rule, double> ||
    MapsMatricesOf<Rule, float>;
/// Asked after IsMap, since the body of a generic lambda on matrices may not compile for a shape.
template <class Rule>
concept IsFactory = !IsMap<Rule> && OptimizerFactory<Rule>;

inline constexpr int steps_of_state = 3;

template <class Scalar, class Rule>
Direction<Scalar> direction_of(const Rule& rule) {
  if constexpr (StatefulRule<Rule, Scalar>) {
    return [rule](const Matrix<Scalar>& weights, const Matrix<Scalar>& gradient) {
      auto state = symopt::detail::make_state<typename Rule::template State<Scalar>>(shape_of(gradient));
      Matrix<Scalar> direction(gradient.rows(), gradient.cols());
      for (int step = 0; step < steps_of_state; ++step) rule(weights, gradient, state, direction);
      return direction;
    };
  } else if constexpr (MapsMatricesOf<Rule, Scalar>) {
    return [rule](const Matrix<Scalar>&, const Matrix<Scalar>& gradient) -> Matrix<Scalar> {
      return rule(gradient);
    };
  } else if constexpr (MapsWeightsAndGradientOf<Rule, Scalar>) {
    return [rule](const Matrix<Scalar>& weights, const Matrix<Scalar>& gradient) -> Matrix<Scalar> {
      return rule(weights, gradient);
    };
  } else {
    return {};
  }
}

template <class Scalar, class Rule>
void add_approximation_reason(AnyRule& any, const Rule& rule) {
  if constexpr (StatefulRule<Rule, Scalar>) {
    using State = typename Rule::template State<Scalar>;
    if constexpr (requires(const State& state) { {approximation_reason_in(state.report)}; })
      any.approximation_reason = [rule](const Matrix<double>& weights, const Matrix<double>& gradient) {
        const auto w = converted<Scalar>(weights), g = converted<Scalar>(gradient);
        auto state = symopt::detail::make_state<State>(shape_of(g));
        Matrix<Scalar> direction(g.rows(), g.cols());
        for (int step = 0; step < steps_of_state; ++step) rule(w, g, state, direction);
        return approximation_reason_in(state.report);
      };
  } else if constexpr (requires(const Matrix<Scalar>& g) { {approximation_reason_in(rule.report(g))}; }) {
    any.approximation_reason = [rule](const Matrix<double>&, const Matrix<double>& gradient) {
      return approximation_reason_in(rule.report(converted<Scalar>(gradient)));
    };
  }
}

/// The change of the weights in three steps of an optimizer; none where there is no optimizer.
WideMatrix change_of_weights(AnyOptimizer* optimizer, WideMatrix weights, const WideMatrix& gradient);
/// A factory as a rule.
AnyRule rule_of_factory(const AnyOptimizerFactory& factory);

}  // namespace detail

template <class Rule>
AnyRule any_rule(const Rule& rule) {
  static_assert(
      detail::IsMap<Rule> || detail::IsFactory<Rule>,
      "a rule to check is callable on a matrix of float or double (the gradient), or on two (weights, "
      "gradient), and returns one of the same scalar, or has a State and operator()(weights, "
      "gradient, state, direction), or makes an optimizer from a Shape or from (rows, cols)");
  if constexpr (detail::IsFactory<Rule>) {
    return detail::rule_of_factory(detail::any_optimizer_factory(rule));
  } else {
    const std::string name = symopt::detail::rule_text(rule);
    AnyRule any{name.find("lambda") == std::string::npos && !name.empty() ? name : "a callable",
                detail::direction_of<double>(rule), detail::direction_of<float>(rule),
                detail::SeesWeights<Rule, double> || detail::SeesWeights<Rule, float>};
    if (any.in_double) {
      detail::add_approximation_reason<double>(any, rule);
    } else {
      detail::add_approximation_reason<float>(any, rule);
    }
    return any;
  }
}

inline AnyRule any_rule(AnyRule rule) {
  return rule;
}

/// The rule without its double, as if it were written for float alone: what float makes of it is then judged,
/// not explained.
inline AnyRule in_float_only(AnyRule rule) {
  rule.in_double = {};
  return rule;
}

#ifdef SYMOPT_CHECK_DEFINITIONS
namespace detail {

SYMOPT_CHECK_INLINE WideMatrix change_of_weights(AnyOptimizer* optimizer, WideMatrix weights,
                                                 const WideMatrix& gradient) {
  const WideMatrix before = weights;
  for (int step = 0; optimizer && step < steps_of_state; ++step) {
    optimizer->step(weights, gradient);
    if (shape_of(weights) != shape_of(before)) return weights;  // the checks look at the shape first
  }
  return sum(std::move(weights), before, -1);
}

SYMOPT_CHECK_INLINE AnyRule rule_of_factory(const AnyOptimizerFactory& factory) {
  AnyRule any{factory.name, {}, {}, true, true};
  const auto make = factory.make;
  if (factory.precision == Precision::in_double)
    any.in_double = [make](const Matrix<double>& weights, const Matrix<double>& gradient) {
      const auto optimizer = make(shape_of(gradient));
      return converted<double>(change_of_weights(optimizer.get(), widened(weights), widened(gradient)));
    };
  if (factory.precision == Precision::in_float || factory.has_float)
    any.in_float = [make, is_float = factory.precision == Precision::in_float](
                       const Matrix<float>& weights, const Matrix<float>& gradient) {
      auto optimizer = make(shape_of(gradient));
      if (is_float)
        return converted<float>(change_of_weights(optimizer.get(), widened(weights), widened(gradient)));
      optimizer = optimizer->in_float();
      try {
        return converted<float>(change_of_weights(optimizer.get(), widened(weights), widened(gradient)));
      } catch (const std::invalid_argument&) {  // beyond floats, though not beyond doubles
        constexpr float nan = std::numeric_limits<float>::quiet_NaN();
        return Matrix<float>(Matrix<float>::Constant(gradient.rows(), gradient.cols(), nan));
      }
    };
  return any;
}

}  // namespace detail
#endif

}}}  // namespace symopt::check
