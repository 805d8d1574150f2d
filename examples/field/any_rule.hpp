// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "common.hpp"

#include <any>
#include <functional>
#include <type_traits>

namespace field {

/// A rule with a state, its type hidden, so that the optimizer around all of them is compiled once.
class AnyStatefulRule {
 public:
  /// The state of the rule, made at its first step.
  template <class Scalar>
  struct State {
    explicit State(Shape of_block) : shape(of_block) {}
    Shape shape;
    std::any own{};
  };

  template <class Rule>
  explicit AnyStatefulRule(const Rule& rule) : in_double_(step<double>(rule)), in_float_(step<float>(rule)) {}

  template <class Weights, class Gradient, class Scalar, class Direction>
  void operator()(const Weights& weights, const Gradient& gradient, State<Scalar>& state,
                  Direction& direction) const {
    if constexpr (std::is_same_v<Scalar, float>) {
      direction = in_float_(weights, gradient, state);
    } else {
      direction = in_double_(weights, gradient, state);
    }
  }

 private:
  template <class Scalar>
  using Step = std::function<Matrix<Scalar>(const Matrix<Scalar>& weights, const Matrix<Scalar>& gradient,
                                            State<Scalar>& state)>;

  template <class Scalar, class Rule>
  static Step<Scalar> step(const Rule& rule) {
    using Own = typename Rule::template State<Scalar>;
    return [rule](const Matrix<Scalar>& weights, const Matrix<Scalar>& gradient, State<Scalar>& state) {
      if (!state.own.has_value()) state.own = Own(state.shape);
      Matrix<Scalar> direction(gradient.rows(), gradient.cols());
      rule(weights, gradient, std::any_cast<Own&>(state.own), direction);
      return direction;
    };
  }

  Step<double> in_double_;
  Step<float> in_float_;
};

/// A map of the momentum, its type hidden.
class AnyMap {
 public:
  template <class Map>
  explicit AnyMap(const Map& map)
      : in_double_([map](const Matrix<double>& block) -> Matrix<double> { return map(block); }),
        in_float_([map](const Matrix<float>& block) -> Matrix<float> { return map(block); }) {}

  template <class Derived>
  Matrix<typename Derived::Scalar> operator()(const Eigen::MatrixBase<Derived>& block) const {
    if constexpr (std::is_same_v<typename Derived::Scalar, float>) {
      return in_float_(block);
    } else {
      return in_double_(block);
    }
  }

 private:
  std::function<Matrix<double>(const Matrix<double>&)> in_double_;
  std::function<Matrix<float>(const Matrix<float>&)> in_float_;
};

}  // namespace field
