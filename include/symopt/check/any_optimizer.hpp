// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/check/approximation.hpp>
#include <symopt/check/wide.hpp>
#include <symopt/optimizer/rule.hpp>
#include <symopt/type_name.hpp>

#include <concepts>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>

namespace symopt { inline namespace SYMOPT_ABI {

template <class Rule, class Scalar>
class Optimizer;

}}  // namespace symopt

namespace symopt { inline namespace SYMOPT_ABI { namespace check {

/// An optimizer of one block with its type hidden. Weights and gradients are numbers of its precision.
class AnyOptimizer {
 public:
  virtual ~AnyOptimizer() = default;
  virtual void step(WideMatrix& weights, const WideMatrix& gradient) = 0;
  /// The optimizer from its start, in float, which shows what rounding does to one in double: one of ours,
  /// whose rule takes both, where its options are in float's range. Empty for others.
  virtual std::unique_ptr<AnyOptimizer> in_float() const = 0;
  /// Why the rule calls the last direction approximate; empty where it does not.
  virtual std::string approximation_reason() const = 0;
};

/// Makes optimizers for blocks, their type hidden.
struct AnyOptimizerFactory {
  std::string name;  ///< of the optimizer
  Precision precision;
  bool has_float;  ///< whether AnyOptimizer::in_float gives one
  std::function<std::unique_ptr<AnyOptimizer>(Shape)> make;
  /// Likewise, in double, of one of ours in float whose rule takes both; empty for others.
  std::function<std::unique_ptr<AnyOptimizer>(Shape)> make_in_double{};
};

// A factory: callable with a Shape or with (rows, cols), returning anything with step(weights, gradient).
namespace detail {

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

template <class Factory>
concept MakesOptimizer = requires(const Factory& factory) {
  requires StepsInDouble<decltype(make_optimizer(factory, Shape{}))> ||
      StepsInFloat<decltype(make_optimizer(factory, Shape{}))>;
};

template <class Factory>
concept OptimizerFactory = (TakesShape<Factory> || TakesSizes<Factory>)&&MakesOptimizer<Factory>;

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

/// One of our optimizers in the other scalar, from its start, where its rule takes that.
template <class O, class Scalar>
struct Counterpart {
  static constexpr bool exists = false;
};
template <class Rule, class Given, class Scalar>
requires(!std::same_as<Given, Scalar> &&
         (StatelessRule<Rule, Scalar> ||
          StatefulRule<Rule, Scalar>)) struct Counterpart<Optimizer<Rule, Given>, Scalar> {
  static constexpr bool exists = true;

  static Optimizer<Rule, Scalar> of(const Optimizer<Rule, Given>& optimizer) {
    Optimizer<Rule, Scalar> counterpart(optimizer.shape().rows, optimizer.shape().cols, optimizer.options(),
                                        optimizer.rule());
    counterpart.set_schedule_factor(optimizer.schedule_factor());
    return counterpart;
  }
};

/// An optimizer of a type, as AnyOptimizer.
template <class O>
class ErasedOptimizer final : public AnyOptimizer {
  using Scalar = decltype(scalar_of_optimizer<O>());

 public:
  explicit ErasedOptimizer(const std::invocable auto& make) : optimizer_(make()) {}

  void step(WideMatrix& weights, const WideMatrix& gradient) override {
    Matrix<Scalar> own_weights = converted<Scalar>(weights);
    const Matrix<Scalar> own_gradient = converted<Scalar>(gradient);
    optimizer_.step(own_weights, own_gradient);
    weights = widened(own_weights);
  }
  std::unique_ptr<AnyOptimizer> in_float() const override {
    using InFloat = Counterpart<O, float>;
    if constexpr (InFloat::exists) {
      try {
        return std::make_unique<ErasedOptimizer<decltype(InFloat::of(optimizer_))>>(
            [&] { return InFloat::of(optimizer_); });
      } catch (const std::invalid_argument&) {
      }
    }
    return nullptr;
  }
  std::string approximation_reason() const override {
    if constexpr (requires { {approximation_reason_in(optimizer_.state().report)}; }) {
      return approximation_reason_in(optimizer_.state().report);
    } else {
      return {};
    }
  }

 private:
  O optimizer_;
};

template <OptimizerFactory Factory>
AnyOptimizerFactory any_optimizer_factory(const Factory& factory) {
  using O = decltype(make_optimizer(factory, Shape{}));
  constexpr bool is_float = std::same_as<decltype(scalar_of_optimizer<O>()), float>;
  AnyOptimizerFactory any{
      symopt::detail::type_name<O>(), is_float ? Precision::in_float : Precision::in_double,
      Counterpart<O, float>::exists, [factory](Shape shape) -> std::unique_ptr<AnyOptimizer> {
        return std::make_unique<ErasedOptimizer<O>>([&] { return make_optimizer(factory, shape); });
      }};
  using InDouble = Counterpart<O, double>;
  if constexpr (InDouble::exists)
    any.make_in_double = [factory](Shape shape) -> std::unique_ptr<AnyOptimizer> {
      using Made = decltype(InDouble::of(make_optimizer(factory, shape)));
      return std::make_unique<ErasedOptimizer<Made>>(
          [&] { return InDouble::of(make_optimizer(factory, shape)); });
    };
  return any;
}

}  // namespace detail

}}}  // namespace symopt::check
