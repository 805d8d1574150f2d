// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/check/optimizer_factory.hpp>
#include <symopt/matrix.hpp>
#include <symopt/update/rule.hpp>
#include <symopt/update/rule_traits.hpp>

#include <concepts>
#include <functional>
#include <limits>
#include <string>
#include <type_traits>

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
  std::string name;
  Direction<double> in_double;
  Direction<float> in_float;
  bool sees_weights = false;
  /// Why the rule itself calls its direction for that input approximate; empty text where it does not, no
  /// function for rules that say nothing about it. A report with `is_exact` and `reason`, from
  /// rule.report(gradient) or in its state, says it.
  std::function<std::string(const Matrix<double>& weights, const Matrix<double>& gradient)> doubt{};

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

template <class Rule>
concept IsMap = SeesWeights<Rule, double> || SeesWeights<Rule, float> || MapsMatricesOf<Rule, double> ||
    MapsMatricesOf<Rule, float>;
/// Asked after IsMap, since the body of a generic lambda on matrices may not compile for a shape.
template <class Rule>
concept IsFactory = !IsMap<Rule> && OptimizerFactory<Rule>;

inline constexpr int steps_of_state = 3;

template <class Scalar, class Rule>
Direction<Scalar> direction_of(const Rule& rule) {
  if constexpr (IsFactory<Rule>) {
    using O = decltype(make_optimizer(rule, Shape{}));
    if constexpr (std::same_as<Scalar, decltype(scalar_of_optimizer<O>())>) {
      return [rule](const Matrix<Scalar>& weights, const Matrix<Scalar>& gradient) -> Matrix<Scalar> {
        O optimizer = make_optimizer(rule, shape_of(gradient));
        Matrix<Scalar> moved = weights;
        for (int step = 0; step < steps_of_state; ++step) optimizer.step(moved, gradient);
        return moved - weights;
      };
    } else if constexpr (FloatTwin<O>::exists) {
      return [rule](const Matrix<float>& weights, const Matrix<float>& gradient) -> Matrix<float> {
        auto optimizer = FloatTwin<O>::of(make_optimizer(rule, shape_of(gradient)));
        Matrix<float> moved = weights;
        for (int step = 0; optimizer && step < steps_of_state; ++step) optimizer->step(moved, gradient);
        return moved - weights;
      };
    } else {
      return {};
    }
  } else if constexpr (StatefulRule<Rule, Scalar>) {
    return [rule](const Matrix<Scalar>& weights, const Matrix<Scalar>& gradient) {
      auto state = make_state<typename Rule::template State<Scalar>>(shape_of(gradient));
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

template <class Rule>
std::string name_of(const Rule& rule) {
  if constexpr (IsFactory<Rule>) {
    return symopt::detail::type_name<decltype(make_optimizer(rule, Shape{}))>();
  } else {
    const std::string name = symopt::detail::rule_text(rule);
    return name.find("lambda") == std::string::npos && !name.empty() ? name : "a callable";
  }
}

template <class Report>
concept SaysIfExact = requires(const Report& report) {
  {bool(report.is_exact)};
  {std::string(report.reason)};
};

std::string doubt_in(const SaysIfExact auto& report) {
  return report.is_exact ? "" : report.reason;
}

template <class Scalar, class Rule>
void add_doubt(AnyRule& any, const Rule& rule) {
  if constexpr (StatefulRule<Rule, Scalar>) {
    using State = typename Rule::template State<Scalar>;
    if constexpr (requires(const State& state) { {doubt_in(state.report)}; })
      any.doubt = [rule](const Matrix<double>& weights, const Matrix<double>& gradient) {
        const Matrix<Scalar> w = weights.cast<Scalar>(), x = gradient.cast<Scalar>();
        auto state = make_state<State>(shape_of(x));
        Matrix<Scalar> direction(x.rows(), x.cols());
        for (int step = 0; step < steps_of_state; ++step) rule(w, x, state, direction);
        return doubt_in(state.report);
      };
  } else if constexpr (requires(const Matrix<Scalar>& x) { {doubt_in(rule.report(x))}; }) {
    any.doubt = [rule](const Matrix<double>&, const Matrix<double>& gradient) {
      return doubt_in(rule.report(Matrix<Scalar>(gradient.cast<Scalar>())));
    };
  }
}

}  // namespace detail

template <class Rule>
AnyRule any_rule(const Rule& rule) {
  constexpr bool sees_weights =
      detail::SeesWeights<Rule, double> || detail::SeesWeights<Rule, float> || detail::IsFactory<Rule>;
  static_assert(
      detail::IsMap<Rule> || detail::IsFactory<Rule>,
      "a rule to check is callable on a matrix of float or double (the gradient), or on two (weights, "
      "gradient), and returns one of the same scalar, or has a State and operator()(weights, "
      "gradient, state, direction), or makes an optimizer from a Shape or from (rows, cols)");
  AnyRule any{detail::name_of(rule), detail::direction_of<double>(rule), detail::direction_of<float>(rule),
              sees_weights};
  if constexpr (detail::IsMap<Rule>) {
    if (any.in_double) {
      detail::add_doubt<double>(any, rule);
    } else {
      detail::add_doubt<float>(any, rule);
    }
  }
  return any;
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

}}}  // namespace symopt::check
