// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/matrix.hpp>
#include <symopt/stack/text.hpp>
#include <symopt/update/rule.hpp>

#include <concepts>
#include <functional>
#include <limits>
#include <string>
#include <type_traits>

namespace symopt::inline SYMOPT_ABI::check {

/// A rule as checks call it: the direction for weights and gradient, in one precision.
template <class Scalar>
using Direction =
    std::function<Matrix<Scalar>(const Matrix<Scalar>& weights, const Matrix<Scalar>& gradient)>;

/// A rule with its type hidden, in the precisions that it has. Either may be empty, not both.
///   a callable on a matrix    is called with the gradient (generic, or for float or double alone)
///   a callable on two         is called with the weights and the gradient, in this order: weight decay, a
///   mask a stateful rule           takes three steps from a new state with the same weights and gradient, so
///   that
///                             its state matters; the last direction counts
struct AnyRule {
  std::string name;
  Direction<double> in_double;
  Direction<float> in_float;
  bool sees_weights = false;

  bool is_float_only() const { return !in_double; }
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

template <class Scalar, class Rule>
Direction<Scalar> direction_of(const Rule& rule) {
  if constexpr (StatefulRule<Rule, Scalar>) {
    return [rule](const Matrix<Scalar>& weights, const Matrix<Scalar>& gradient) {
      auto state = make_state<typename Rule::template State<Scalar>>(shape_of(gradient));
      Matrix<Scalar> direction(gradient.rows(), gradient.cols());
      for (int step = 0; step < 3; ++step) rule(weights, gradient, state, direction);
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

template <class Rule>
std::string name_of(const Rule& rule) {
  std::string name = symopt::detail::rule_text(rule);
  return name.find("lambda") == std::string::npos && !name.empty() ? name : "a callable";
}

}  // namespace detail

template <class Rule>
AnyRule any_rule(const Rule& rule) {
  constexpr bool sees_weights = detail::SeesWeights<Rule, double> || detail::SeesWeights<Rule, float>;
  constexpr bool is_rule =
      sees_weights || detail::MapsMatricesOf<Rule, double> || detail::MapsMatricesOf<Rule, float>;
  static_assert(
      is_rule,
      "a rule to check is callable on a matrix of float or double (the gradient), or on two (weights, "
      "gradient), and returns one of the same scalar, or has a State and operator()(weights, "
      "gradient, state, direction)");
  return {detail::name_of(rule), detail::direction_of<double>(rule), detail::direction_of<float>(rule),
          sees_weights};
}

}  // namespace symopt::check
