// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/matrix.hpp>
#include <symopt/update/rule.hpp>

#include <concepts>
#include <optional>
#include <stdexcept>
#include <type_traits>

namespace symopt { inline namespace SYMOPT_ABI {

template <class Rule, class Scalar>
class Optimizer;

}}  // namespace symopt

// What makes an optimizer for a block: callable with a Shape or with (rows, cols), returning anything with
// step(weights, gradient).
namespace symopt { inline namespace SYMOPT_ABI { namespace check::detail {

template <class Factory>
auto make_optimizer(const Factory& factory, Shape shape) {
  if constexpr (requires { factory(shape); }) {
    return factory(shape);
  } else {
    return factory(shape.rows, shape.cols);
  }
}

template <class O>
concept StepsInDouble = requires(O& optimizer, Matrix<double>& block) {
  optimizer.step(block, block);
};
template <class O>
concept StepsInFloat = requires(O& optimizer, Matrix<float>& block) {
  optimizer.step(block, block);
};

template <class Factory>
concept TakesShape = requires(const Factory& factory, Shape shape) {
  factory(shape);
};
template <class Factory>
concept TakesSizes = requires(const Factory& factory, Index size) {
  factory(size, size);
};

/// The scalar that an optimizer steps in: its own word, or double where it takes that.
template <class O>
auto scalar_of_optimizer() {
  if constexpr (requires { typename O::scalar_type; }) {
    return typename O::scalar_type{};
  } else if constexpr (StepsInDouble<O>) {
    return double{};
  } else {
    return float{};
  }
}

/// An optimizer in double can be made again in float, to see what rounding does to it: one of ours, whose rule
/// takes both.
template <class O>
struct FloatTwin {
  static constexpr bool exists = false;
};
template <class Rule>
requires(StatelessRule<Rule, float> || StatefulRule<Rule, float>)
struct FloatTwin<Optimizer<Rule, double>> {
  static constexpr bool exists = true;

  /// From its start, with the same options; empty where these are out of float's range.
  static std::optional<Optimizer<Rule, float>> of(const Optimizer<Rule, double>& optimizer) {
    try {
      Optimizer<Rule, float> twin(optimizer.shape().rows, optimizer.shape().cols, optimizer.options(),
                                  optimizer.rule());
      twin.set_schedule_factor(optimizer.schedule_factor());
      return twin;
    } catch (const std::invalid_argument&) {
      return std::nullopt;
    }
  }
};

template <class Factory>
concept MakesOptimizer = requires(const Factory& factory) {
  requires StepsInDouble<decltype(make_optimizer(factory, Shape{}))> ||
      StepsInFloat<decltype(make_optimizer(factory, Shape{}))>;
};

template <class Factory>
concept OptimizerFactory = (TakesShape<Factory> || TakesSizes<Factory>)&&MakesOptimizer<Factory>;

}}}  // namespace symopt::check::detail
