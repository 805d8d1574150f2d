// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/normalization/apply.hpp>

#include <concepts>

namespace symopt { inline namespace SYMOPT_ABI {

/// A rule that maps the momentum to a direction: an Update, a normalization, or any callable on a dense
/// expression that returns one of the same shape. The optimizer keeps its momentum.
template <class Rule, class Scalar>
concept StatelessRule = detail::InPlaceMap<Rule, Scalar> || detail::CallableMap<Rule, Scalar>;

/// A rule that keeps its own state and momentum.
///
/// Minimal definition:
///   State<Scalar>                             constructible from a Shape, from (rows, cols), or from nothing
///   rule(weights, gradient, state, direction) reads the first two, updates the state, writes the last;
///                                             the optimizer does scale, decay and W <- W - rate * direction
/// weights and gradient come as read-only views of the caller's memory in its storage order.
///
/// Models: AdamW, Adaptive.
template <class Rule, class Scalar>
concept StatefulRule = requires(const Rule& rule, const Matrix<Scalar>& weights, Matrix<Scalar>& direction,
                                typename Rule::template State<Scalar>& state) {
  rule(weights, weights, state, direction);
};

namespace detail {

/// The state of a stateful rule for a block of that shape.
template <class State>
State make_state(Shape shape) {
  if constexpr (std::constructible_from<State, Shape>) {
    return State(shape);
  } else if constexpr (std::constructible_from<State, Index, Index>) {
    return State(shape.rows, shape.cols);
  } else {
    return State{};
  }
}

}  // namespace detail

}}  // namespace symopt
