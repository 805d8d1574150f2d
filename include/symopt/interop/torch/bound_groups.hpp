// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/error.hpp>
#include <symopt/interop/torch/bound_tensor.hpp>
#include <symopt/interop/torch_groups.hpp>
#include <symopt/stack/role.hpp>

#include <torch/optim/optimizer.h>
#include <torch/types.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

namespace symopt { inline namespace SYMOPT_ABI { namespace interop { namespace detail {

using ParameterGroups = std::vector<torch::optim::OptimizerParamGroup>;

/// Stands for "no options given": groups made by parameter_group never fall back to it.
struct NoDefaultOptions : torch::optim::OptimizerCloneableOptions<NoDefaultOptions> {};

/// Errors: for a group that is not made by parameter_group.
inline const GroupOptions& options_of(const ParameterGroups& groups, std::size_t group) {
  const auto* options = dynamic_cast<const GroupOptions*>(&groups[group].options());
  if (options == nullptr)
    throw Error("parameter group " + std::to_string(group) +
                " has no symopt rule; make it with parameter_group<Rule>(...)");
  return *options;
}

/// The tensors of a libtorch optimizer's groups, as its stacks were last told of them. Stacks has
///   for_each(visit)                                  visit(stack) for all of them
///   choose(tensor, name, options, visit)             visit(stack, role) for the one that steps the tensor
///   gradient_to_bind(bound, gradient)                the tensor that the stack is to read
class BoundGroups {
 public:
  /// Brings the stacks up to date: tensors, gradients, rates. What no group holds any more is forgotten, its
  /// state with it. Errors: for tensors that their roles cannot take, and that are in the groups twice.
  template <class Stacks>
  void update(Stacks& stacks, ParameterGroups& groups) {
    drop_those_that_left(stacks, groups);
    for_each_tensor(groups, [&](const torch::Tensor& tensor, const GroupOptions& options, std::string name) {
      stacks.choose(tensor, name, options,
                    [&](auto& stack, const auto& role) { bind(stacks, stack, role, options, tensor, name); });
    });
  }

  /// Tests whether these are the tensors of the last update, none more and none less.
  bool are_those_of(ParameterGroups& groups) const {
    std::size_t count = 0;
    bool all_are_bound = true;
    for_each_tensor(groups, [&](const torch::Tensor& tensor, const GroupOptions&, const std::string&) {
      ++count;
      all_are_bound = all_are_bound && bound_.contains(tensor.unsafeGetTensorImpl());
    });
    return all_are_bound && count == bound_.size();
  }

  /// The gradients of tensors whose names are chosen are bound anew by the next update.
  void forget_gradients(const auto& is_chosen) {
    for (auto& [tensor, bound] : bound_)
      if (is_chosen(bound.name)) bound.gradient = nullptr;
  }

 private:
  /// visit(tensor, options, name)
  static void for_each_tensor(ParameterGroups& groups, const auto& visit) {
    for (std::size_t g = 0; g < groups.size(); ++g) {
      const GroupOptions& options = options_of(groups, g);
      const std::vector<torch::Tensor>& tensors = groups[g].params();
      for (std::size_t t = 0; t < tensors.size(); ++t) visit(tensors[t], options, options.name_of(g, t));
    }
  }

  template <class Stacks>
  void drop_those_that_left(Stacks& stacks, ParameterGroups& groups) {
    std::unordered_map<const c10::TensorImpl*, std::string> held;
    for_each_tensor(groups, [&](const torch::Tensor& tensor, const GroupOptions&, const std::string& name) {
      const auto [other, is_new] = held.emplace(tensor.unsafeGetTensorImpl(), name);
      const std::string& first = other->second;
      symopt::detail::require(is_new, {name}, [&] {
        return "is in the parameter groups already, as '" + first + "'; a tensor has one rule";
      });
    });
    std::erase_if(bound_, [&](const auto& entry) {
      if (held.contains(entry.first)) return false;
      const std::string& name = entry.second.name;
      stacks.for_each([&](auto& stack) {
        if (stack.contains(name)) stack.remove(name);
      });
      return true;
    });
  }

  template <class Scalar>
  void bind(auto& stacks, auto& stack, const std::optional<BasicRole<Scalar>>& role,
            const GroupOptions& options, const torch::Tensor& tensor, const std::string& name) {
    const auto found = bound_.find(tensor.unsafeGetTensorImpl());
    BoundTensor& bound = found != bound_.end() ? found->second : add(stacks, stack, role, tensor, name);
    symopt::detail::require(
        tensor.sizes().vec() == bound.sizes && tensor.strides().vec() == bound.strides, {bound.name},
        "its sizes or strides are others than when it was bound, and its state fits the old ones; put a new "
        "tensor in its place in the group");
    symopt::detail::require(
        tensor.device() == bound.device && tensor.scalar_type() == bound.type, {bound.name},
        "its device or scalar type is another one than when it was bound, and its state is not; make the "
        "optimizer after the model has moved, and load the state into that one");
    if (bound.weights != tensor.data_ptr()) {
      set_weights(stack, bound.name, tensor);
      bound.weights = tensor.data_ptr();
    }
    require_gradient<Scalar>(bound, tensor.grad());
    bind_gradient(stack, bound, stacks.gradient_to_bind(bound, tensor.grad()));
    if (stack.options(bound.name).learning_rate != options.get_lr())
      stack.set_learning_rate(bound.name, options.get_lr());
  }

  template <class Scalar>
  BoundTensor& add(auto& stacks, auto& stack, const std::optional<BasicRole<Scalar>>& role,
                   const torch::Tensor& tensor, std::string name) {
    symopt::detail::require(tensor.layout() == torch::kStrided, {name}, "symopt updates dense tensors");
    symopt::detail::require(
        role.has_value() && tensor.scalar_type() == torch::CppTypeToScalarType<Scalar>::value, {name},
        "symopt updates float and double tensors");
    // Places in a group move up when a tensor leaves it, and names do not.
    const std::string place = name;
    const auto is_taken = [&] {
      bool taken = false;
      stacks.for_each([&](const auto& any) { taken = taken || any.contains(name); });
      return taken;
    };
    for (int i = 2; is_taken(); ++i) name = place + " (" + std::to_string(i) + ")";
    add_to(stack, name, *role, tensor);
    BoundTensor& bound = bound_[tensor.unsafeGetTensorImpl()];
    bound.tensor = tensor;
    bound.name = std::move(name);
    bound.sizes = tensor.sizes().vec();
    bound.strides = tensor.strides().vec();
    bound.device = tensor.device();
    bound.type = tensor.scalar_type();
    bound.weights = tensor.data_ptr();
    return bound;
  }

  template <class Scalar>
  static void require_gradient(const BoundTensor& bound, const torch::Tensor& gradient) {
    symopt::detail::require(
        !gradient.defined() || (gradient.layout() == torch::kStrided &&
                                gradient.scalar_type() == torch::CppTypeToScalarType<Scalar>::value),
        {bound.name}, "the gradient must be dense and of the parameter's scalar type");
  }
  static void bind_gradient(auto& stack, BoundTensor& bound, const torch::Tensor& gradient) {
    const void* memory = nullptr;
    std::vector<std::int64_t> strides;
    if (gradient.defined()) {
      memory = gradient.data_ptr();
      strides = gradient.strides().vec();
    }
    if (memory == bound.gradient && strides == bound.gradient_strides) return;
    set_gradient(stack, bound.name, gradient);
    bound.gradient = memory;
    bound.gradient_strides = std::move(strides);
  }

  std::unordered_map<const c10::TensorImpl*, BoundTensor> bound_;
};

}}}}  // namespace symopt::interop::detail
