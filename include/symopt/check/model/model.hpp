// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/memory/named_tensor.hpp>

#include <concepts>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace symopt { inline namespace SYMOPT_ABI { namespace check {

/// A model as a check sees it: its parameters by name, in the trainer's memory, and what computes the loss.
///   Model<double> model({{"up", TensorView(up), TensorView<const double>(d_up)}, ...}, [&] { ... });
/// The closure reads the weights, writes all gradients and returns the loss. Called with the number of the
/// step, where it takes one, it may have another batch for each. It must be a function of weights and number:
/// no dropout, no state. What is trained and is no parameter here is not moved, and not put back.
template <class Scalar>
class Model {
 public:
  /// Loss: callable with a number or with nothing, returning a number.
  template <class Loss>
  requires(std::invocable<Loss&> || std::invocable<Loss&, int>)
      Model(std::vector<NamedTensor<Scalar>> parameters, Loss loss_and_gradient)
      : parameters_(std::move(parameters)) {
    if constexpr (std::invocable<Loss&, int>) {
      loss_and_gradient_ = [loss = std::move(loss_and_gradient)](int step) mutable {
        return static_cast<double>(loss(step));
      };
    } else {
      loss_and_gradient_ = [loss = std::move(loss_and_gradient)](int) mutable {
        return static_cast<double>(loss());
      };
    }
  }

  /// Names, weights and gradients.
  const std::vector<NamedTensor<Scalar>>& parameters() const { return parameters_; }
  /// The loss on the batch of a step, of the weights as they are; all gradients are written.
  double loss_and_gradient(int step) const { return loss_and_gradient_(step); }

 private:
  std::vector<NamedTensor<Scalar>> parameters_;
  std::function<double(int)> loss_and_gradient_;
};

/// An optimizer of a whole model by name, as a check makes one for every training.
template <class Scalar>
class ModelOptimizer {
 public:
  /// Makes an optimizer from its start, for the parameters as they lie: callable with them or with nothing,
  /// returning anything with step() or a callable that makes a step.
  template <class Factory>
  requires(std::invocable<const Factory&> ||
           std::invocable<const Factory&, const std::vector<NamedTensor<Scalar>>&>)
      ModelOptimizer(std::string name, Factory factory)
      : name_(std::move(name)), make_([factory = std::move(factory)](const auto& parameters) {
          if constexpr (std::invocable<const Factory&>) {
            return stepper(factory());
          } else {
            return stepper(factory(parameters));
          }
        }) {}

  /// The name, as reports show it.
  const std::string& name() const { return name_; }
  /// A new training: each call of the result is one step of it.
  std::function<void()> make(const std::vector<NamedTensor<Scalar>>& parameters) const {
    return make_(parameters);
  }

 private:
  template <class Optimizer>
  static std::function<void()> stepper(Optimizer optimizer) {
    const auto shared = std::make_shared<Optimizer>(std::move(optimizer));  // a function has to be copied
    return [shared] {
      if constexpr (requires { shared->step(); }) {
        shared->step();
      } else if constexpr (requires { (*shared)->step(); }) {
        (*shared)->step();
      } else {
        (*shared)();
      }
    };
  }

  std::string name_;
  std::function<std::function<void()>(const std::vector<NamedTensor<Scalar>>&)> make_;
};

}}}  // namespace symopt::check
