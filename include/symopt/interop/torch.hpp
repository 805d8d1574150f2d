// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/error.hpp>
#include <symopt/interop/torch/stack_tensors.hpp>
#include <symopt/interop/torch/tensor_stack.hpp>
#include <symopt/interop/torch_groups.hpp>
#include <symopt/stack/layerwise_optimizer.hpp>
#if __has_include(<nlohmann/json.hpp>)
#include <symopt/interop/torch/joint_state.hpp>
#endif

#include <torch/optim/optimizer.h>
#include <torch/ordered_dict.h>
#include <torch/serialize/archive.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

namespace symopt { inline namespace SYMOPT_ABI { namespace interop {

namespace detail {

/// Stands for "no options given": groups made by parameter_group never fall back to it.
struct NoDefaultOptions : torch::optim::OptimizerCloneableOptions<NoDefaultOptions> {};

/// For headers beside this one: see torch_diagnostics.hpp.
struct TorchStackAccess;

}  // namespace detail

/// The options of a TorchOptimizer.
struct TorchOptions {
  /// Tensors in CPU memory, too, step by libtorch's operations, as those of other devices do: to compare.
  bool by_operations = false;
  /// Of the tensors that step by operations.
  PolarProducts polar_products = PolarProducts::as_weights;
};

/// symopt as an optimizer of libtorch: a LayerwiseOptimizer over the parameters' memory, updated in place.
/// Tensors in CPU memory step by the kernels of this library, and those on other devices by libtorch's
/// operations, with the same rules, options and state: docs/devices.md says what differs. Learning rates are
/// read from the groups' options at every step, so torch's schedulers drive them. All gradients are looked at
/// before any parameter moves. A parameter without a gradient is left alone, decay included. Errors:
/// std::invalid_argument at construction for a tensor that its role cannot take, and for two parameters in
/// the same memory; at a step those of LayerwiseOptimizer, with the tensor named.
class TorchOptimizer : public torch::optim::Optimizer {
 public:
  /// Binds all tensors of the groups. Errors: std::invalid_argument for a tensor that its role cannot take,
  /// and for two parameters in the same memory.
  explicit TorchOptimizer(std::vector<torch::optim::OptimizerParamGroup> groups, TorchOptions options = {})
      : torch::optim::Optimizer(std::move(groups), std::make_unique<detail::NoDefaultOptions>()),
        options_(options),
        float_tensors_(options.polar_products),
        double_tensors_(options.polar_products) {
    const torch::NoGradGuard no_gradients;
    bind_all();
  }

  /// Runs the closure, if there is one, and one step of every parameter; returns the closure's loss.
  torch::Tensor step(LossClosure closure = nullptr) override {
    torch::Tensor loss;
    if (closure != nullptr) {
      const torch::AutoGradMode with_gradients(true);
      loss = closure();
    }
    const torch::NoGradGuard no_gradients;
    const GradientsEnd gradients_end{*this};
    bind_all();
    float_tensors_.require_ready();
    double_tensors_.require_ready();
    // A stack looks at its own gradients; where there are several, at the others' too before one moves.
    std::size_t stacks = 0;
    for_each_stack(*this, [&](const auto& stack) { stacks += stack.size() > 0 ? 1 : 0; });
    bool are_finite = true;
    if (stacks > 1)
      for_each_stack(*this, [&](const auto& stack) {
        are_finite = are_finite && (stack.size() == 0 || stack.inspect().non_finite.empty());
      });
    if (!are_finite) return loss;
    floats_.step();
    doubles_.step();
    if (float_tensors_.size() > 0) float_tensors_.step(stacks > 1);
    if (double_tensors_.size() > 0) double_tensors_.step(stacks > 1);
    return loss;
  }

  /// The plan of all parameters, those in float before those in double: blocks, rule, scale and rate of each.
  Plan plan() const {
    std::vector<PlanRow> all;
    for_each_stack(*this, [&](const auto& stack) {
      const Plan plan = stack.plan();
      all.insert(all.end(), plan.rows().begin(), plan.rows().end());
    });
    return Plan(std::move(all));
  }

#if __has_include(<nlohmann/json.hpp>)
  /// torch::save and torch::load of an optimizer: momenta, states, steps and rates, as state/state.hpp
  /// saves them, strictly; the groups' rates become those of the archive. Errors: those of load_state; after
  /// one nothing has changed.
  ///@{
  void save(torch::serialize::OutputArchive& archive) const override {
    archive.write("symopt.float", detail::as_tensor(float_state().bytes()), true);
    archive.write("symopt.double", detail::as_tensor(double_state().bytes()), true);
    archive.write("symopt.rates", rates(),
                  true);  // the groups', which a scheduler may have set since the step
  }
  void load(torch::serialize::InputArchive& archive) override {
    torch::Tensor floats, doubles, saved_rates;
    if (!archive.try_read("symopt.float", floats, true) ||
        !archive.try_read("symopt.double", doubles, true) ||
        !archive.try_read("symopt.rates", saved_rates, true) || saved_rates.sizes() != rates().sizes() ||
        saved_rates.scalar_type() != torch::kDouble)
      throw Error("the archive is not of a TorchOptimizer");
    saved_rates = saved_rates.cpu();
    floats = floats.cpu();
    doubles = doubles.cpu();
    if (!(torch::isfinite(saved_rates) & (saved_rates >= 0)).all().item<bool>())
      throw Error("a rate of the archive is not finite or is negative");
    const torch::Tensor before = detail::as_tensor(float_state().bytes({.allow_non_finite = true}));
    float_state().load(detail::bytes_of(floats));
    try {
      double_state().load(detail::bytes_of(doubles));
    } catch (...) {
      float_state().load(detail::bytes_of(before), {.allow_non_finite = true});
      throw;
    }
    for (std::size_t g = 0; g < param_groups_.size(); ++g)
      param_groups_[g].options().set_lr(saved_rates[static_cast<std::int64_t>(g)].item<double>());
  }
  ///@}
#else
  /// Not supported without nlohmann-json: throws, rather than writing a file without the momentum.
  ///@{
  void save(torch::serialize::OutputArchive&) const override {
    refuse_archive();
  }
  void load(torch::serialize::InputArchive&) override {
    refuse_archive();
  }
  ///@}
#endif

 private:
  friend struct detail::TorchStackAccess;

  /// visit(stack) for those in float before those in double.
  static void for_each_stack(auto& self, const auto& visit) {
    visit(self.floats_);
    visit(self.float_tensors_);
    visit(self.doubles_);
    visit(self.double_tensors_);
  }

#if __has_include(<nlohmann/json.hpp>)
  // Saving reads, but for the states of other devices, which are in memory of the CPU for that time.
  detail::JointState<float> float_state() const {
    auto& self = const_cast<TorchOptimizer&>(*this);
    return {self.floats_, self.float_tensors_};
  }
  detail::JointState<double> double_state() const {
    auto& self = const_cast<TorchOptimizer&>(*this);
    return {self.doubles_, self.double_tensors_};
  }
  torch::Tensor rates() const {
    std::vector<double> all;
    for (const torch::optim::OptimizerParamGroup& group : param_groups_)
      all.push_back(group.options().get_lr());
    return torch::tensor(all, torch::kDouble);
  }
#else
  [[noreturn]] static void refuse_archive() {
    throw std::logic_error(
        "symopt: TorchOptimizer is saved and loaded with nlohmann-json, which was not found by the compiler");
  }
#endif

  /// Brings the stacks up to date with the groups: tensors, gradients, rates. What no group holds any more is
  /// forgotten, its state with it.
  void bind_all() {
    drop_those_that_left();
    for (std::size_t g = 0; g < param_groups_.size(); ++g) {
      const GroupOptions& options = options_of(g);
      std::vector<torch::Tensor>& tensors = param_groups_[g].params();
      for (std::size_t t = 0; t < tensors.size(); ++t) {
        const bool is_native = tensors[t].device().is_cpu() && !options_.by_operations;
        const std::string name = options.name_of(g, t);
        const std::optional<Role> role = options.role();
        if (tensors[t].scalar_type() == torch::kDouble) {
          is_native ? bind(doubles_, options.double_role(), options, tensors[t], name)
                    : bind(double_tensors_, options.double_role(), options, tensors[t], name);
        } else {
          is_native ? bind(floats_, role, options, tensors[t], name)
                    : bind(float_tensors_, role, options, tensors[t], name);
        }
      }
    }
  }

  /// The stacks of tensors hold the gradients that they are given, and not beyond a step, however it ends.
  struct GradientsEnd {
    TorchOptimizer& optimizer;
    ~GradientsEnd() { optimizer.release_gradients(); }
  };
  void release_gradients() {
    if (float_tensors_.size() + double_tensors_.size() == 0) return;
    float_tensors_.release_gradients();
    double_tensors_.release_gradients();
    for (auto& [tensor, bound] : bound_)
      if (float_tensors_.contains(bound.name) || double_tensors_.contains(bound.name))
        bound.gradient = nullptr;
  }

  const GroupOptions& options_of(std::size_t group) const {
    const auto* options = dynamic_cast<const GroupOptions*>(&param_groups_[group].options());
    if (options == nullptr)
      throw Error("parameter group " + std::to_string(group) +
                  " has no symopt rule; make it with parameter_group<Rule>(...)");
    return *options;
  }

  /// Errors: for a tensor that is in the groups twice.
  void drop_those_that_left() {
    std::unordered_map<const c10::TensorImpl*, std::string> held;
    for (std::size_t g = 0; g < param_groups_.size(); ++g) {
      const GroupOptions& options = options_of(g);
      const std::vector<torch::Tensor>& tensors = param_groups_[g].params();
      for (std::size_t t = 0; t < tensors.size(); ++t) {
        const auto [other, is_new] = held.emplace(tensors[t].unsafeGetTensorImpl(), options.name_of(g, t));
        const std::string& first = other->second;
        symopt::detail::require(is_new, {options.name_of(g, t)}, [&] {
          return "is in the parameter groups already, as '" + first + "'; a tensor has one rule";
        });
      }
    }
    std::erase_if(bound_, [&](const auto& entry) {
      if (held.contains(entry.first)) return false;
      const std::string& name = entry.second.name;
      for_each_stack(*this, [&](auto& stack) {
        if (stack.contains(name)) stack.remove(name);
      });
      return true;
    });
  }

  template <class Scalar, class Stack>
  void bind(Stack& stack, const std::optional<BasicRole<Scalar>>& role, const GroupOptions& options,
            const torch::Tensor& tensor, const std::string& name) {
    const auto found = bound_.find(tensor.unsafeGetTensorImpl());
    detail::BoundTensor& bound = found != bound_.end() ? found->second : add(stack, role, tensor, name);
    symopt::detail::require(
        tensor.sizes().vec() == bound.sizes && tensor.strides().vec() == bound.strides, {bound.name},
        "its sizes or strides are others than when it was bound, and its state fits the old ones; put a new "
        "tensor in its place in the group");
    symopt::detail::require(
        tensor.device() == bound.device && tensor.scalar_type() == bound.type, {bound.name},
        "its device or scalar type is another one than when it was bound, and its state is "
        "not; make the optimizer after the model has moved, and load the state into that one");
    if (bound.weights != tensor.data_ptr()) {
      detail::set_weights(stack, bound.name, tensor);
      bound.weights = tensor.data_ptr();
    }
    bind_gradient<Scalar>(stack, bound, tensor.grad());
    if (stack.options(bound.name).learning_rate != options.get_lr())
      stack.set_learning_rate(bound.name, options.get_lr());
  }

  template <class Scalar, class Stack>
  detail::BoundTensor& add(Stack& stack, const std::optional<BasicRole<Scalar>>& role,
                           const torch::Tensor& tensor, std::string name) {
    symopt::detail::require(tensor.layout() == torch::kStrided, {name}, "symopt updates dense tensors");
    symopt::detail::require(
        role.has_value() && tensor.scalar_type() == torch::CppTypeToScalarType<Scalar>::value, {name},
        "symopt updates float and double tensors");
    // Places in a group move up when a tensor leaves it, and names do not.
    const std::string place = name;
    const auto is_taken = [&] {
      bool taken = false;
      for_each_stack(*this, [&](const auto& any) { taken = taken || any.contains(name); });
      return taken;
    };
    for (int i = 2; is_taken(); ++i) name = place + " (" + std::to_string(i) + ")";
    detail::add_to(stack, name, *role, tensor);
    detail::BoundTensor& bound = bound_[tensor.unsafeGetTensorImpl()];
    bound.tensor = tensor;
    bound.name = std::move(name);
    bound.sizes = tensor.sizes().vec();
    bound.strides = tensor.strides().vec();
    bound.device = tensor.device();
    bound.type = tensor.scalar_type();
    bound.weights = tensor.data_ptr();
    return bound;
  }

  template <class Scalar, class Stack>
  static void bind_gradient(Stack& stack, detail::BoundTensor& bound, const torch::Tensor& gradient) {
    const void* memory = nullptr;
    std::vector<std::int64_t> strides;
    if (gradient.defined()) {
      symopt::detail::require(gradient.layout() == torch::kStrided &&
                                  gradient.scalar_type() == torch::CppTypeToScalarType<Scalar>::value,
                              {bound.name}, "the gradient must be dense and of the parameter's scalar type");
      memory = gradient.data_ptr();
      strides = gradient.strides().vec();
    }
    if (memory == bound.gradient && strides == bound.gradient_strides) return;
    detail::set_gradient(stack, bound.name, gradient);
    bound.gradient = memory;
    bound.gradient_strides = std::move(strides);
  }

  TorchOptions options_;
  BasicLayerwiseOptimizer<float> floats_;
  BasicLayerwiseOptimizer<double> doubles_;
  detail::TensorStack<float> float_tensors_;
  detail::TensorStack<double> double_tensors_;
  std::unordered_map<const c10::TensorImpl*, detail::BoundTensor> bound_;
};

}}}  // namespace symopt::interop
