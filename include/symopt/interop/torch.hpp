// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/error.hpp>
#include <symopt/interop/torch_groups.hpp>
#include <symopt/interop/torch_tensor.hpp>
#include <symopt/stack/layerwise_optimizer.hpp>
#if __has_include(<nlohmann/json.hpp>)
#include <symopt/state/state.hpp>
#endif

#include <torch/optim/optimizer.h>
#include <torch/ordered_dict.h>
#include <torch/serialize/archive.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <algorithm>
#include <memory>
#include <optional>
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

/// The memory of a tensor as a stack was last told of it.
struct BoundTensor {
  torch::Tensor tensor{};  // held, so that its address is not another's
  std::string name{};
  std::vector<std::int64_t> sizes{}, strides{};
  const void* weights = nullptr;
  const void* gradient = nullptr;
  std::vector<std::int64_t> gradient_strides{};
};

}  // namespace detail

/// symopt as an optimizer of libtorch: a LayerwiseOptimizer over the parameters' memory, updated in place.
/// Learning rates are read from the groups' options at every step, so torch's schedulers drive them. All
/// gradients are looked at before any parameter moves. A parameter without a gradient is left alone, decay
/// included. Errors: std::invalid_argument at construction for a tensor that its role cannot take, and for
/// two parameters in the same memory; at a step those of LayerwiseOptimizer, with the tensor named.
class TorchOptimizer : public torch::optim::Optimizer {
 public:
  /// Binds all tensors of the groups. Errors: std::invalid_argument for a tensor that its role cannot take,
  /// and for two parameters in the same memory.
  explicit TorchOptimizer(std::vector<torch::optim::OptimizerParamGroup> groups)
      : torch::optim::Optimizer(std::move(groups), std::make_unique<detail::NoDefaultOptions>()) {
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
    bind_all();
    // A stack looks at its own gradients; where there are two, at the other's too before one moves.
    const bool is_one_stack = floats_.size() == 0 || doubles_.size() == 0;
    if (is_one_stack || (floats_.inspect().non_finite.empty() && doubles_.inspect().non_finite.empty())) {
      floats_.step();
      doubles_.step();
    }
    return loss;
  }

  /// The plan of all parameters, those in float before those in double: blocks, rule, scale and rate of each.
  Plan plan() const {
    std::vector<PlanRow> rows = floats_.plan().rows();
    const Plan doubles = doubles_.plan();
    rows.insert(rows.end(), doubles.rows().begin(), doubles.rows().end());
    return Plan(std::move(rows));
  }

#if __has_include(<nlohmann/json.hpp>)
  /// torch::save and torch::load of an optimizer: momenta, states, steps and rates, as state/state.hpp
  /// saves them, strictly; the groups' rates become those of the archive. Errors: those of load_state; after
  /// one nothing has changed.
  ///@{
  void save(torch::serialize::OutputArchive& archive) const override {
    archive.write("symopt.float", as_tensor(state_bytes(floats_)), true);
    archive.write("symopt.double", as_tensor(state_bytes(doubles_)), true);
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
    if (!(torch::isfinite(saved_rates) & (saved_rates >= 0)).all().item<bool>())
      throw Error("a rate of the archive is not finite or is negative");
    const torch::Tensor before = as_tensor(state_bytes(floats_, {.allow_non_finite = true}));
    load_state_bytes(floats_, bytes_of(floats), {}, "archive");
    try {
      load_state_bytes(doubles_, bytes_of(doubles), {}, "archive");
    } catch (...) {
      load_state_bytes(floats_, bytes_of(before), {.allow_non_finite = true}, "archive");
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

#if __has_include(<nlohmann/json.hpp>)
  static torch::Tensor as_tensor(const std::string& bytes) {
    torch::Tensor tensor = torch::empty({static_cast<std::int64_t>(bytes.size())}, torch::kByte);
    std::copy(bytes.begin(), bytes.end(), static_cast<char*>(tensor.data_ptr()));
    return tensor;
  }
  static std::span<const std::byte> bytes_of(const torch::Tensor& tensor) {
    if (tensor.scalar_type() != torch::kByte || !tensor.is_contiguous())
      throw Error("the archive is not of a TorchOptimizer");
    return {static_cast<const std::byte*>(tensor.data_ptr()), static_cast<std::size_t>(tensor.numel())};
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
        if (tensors[t].scalar_type() == torch::kDouble) {
          bind(doubles_, options.double_role(), options, tensors[t], options.name_of(g, t));
        } else {
          bind(floats_, std::optional<Role>(options.role()), options, tensors[t], options.name_of(g, t));
        }
      }
    }
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
      if (floats_.contains(name)) floats_.remove(name);
      if (doubles_.contains(name)) doubles_.remove(name);
      return true;
    });
  }

  template <class Scalar>
  void bind(BasicLayerwiseOptimizer<Scalar>& stack, const std::optional<BasicRole<Scalar>>& role,
            const GroupOptions& options, const torch::Tensor& tensor, const std::string& name) {
    const auto found = bound_.find(tensor.unsafeGetTensorImpl());
    detail::BoundTensor& bound = found != bound_.end() ? found->second : add(stack, role, tensor, name);
    symopt::detail::require(
        tensor.sizes().vec() == bound.sizes && tensor.strides().vec() == bound.strides, {bound.name},
        "its sizes or strides are others than when it was bound, and its state fits the old ones; put a new "
        "tensor in its place in the group");
    if (bound.weights != tensor.data_ptr()) {
      stack.set_weights(bound.name, tensor_view<Scalar>(tensor));
      bound.weights = tensor.data_ptr();
    }
    bind_gradient(stack, bound, tensor.grad());
    if (stack.options(bound.name).learning_rate != options.get_lr())
      stack.set_learning_rate(bound.name, options.get_lr());
  }

  template <class Scalar>
  detail::BoundTensor& add(BasicLayerwiseOptimizer<Scalar>& stack,
                           const std::optional<BasicRole<Scalar>>& role, const torch::Tensor& tensor,
                           std::string name) {
    symopt::detail::require(tensor.device().is_cpu() && tensor.layout() == torch::kStrided, {name},
                            "symopt updates dense tensors in CPU memory");
    symopt::detail::require(
        role.has_value() && tensor.scalar_type() == torch::CppTypeToScalarType<Scalar>::value, {name},
        "symopt updates float and double tensors");
    // Places in a group move up when a tensor leaves it, and names do not.
    const std::string place = name;
    for (int i = 2; floats_.contains(name) || doubles_.contains(name); ++i)
      name = place + " (" + std::to_string(i) + ")";
    stack.add(name, *role, tensor_view<Scalar>(tensor), std::nullopt);
    detail::BoundTensor& bound = bound_[tensor.unsafeGetTensorImpl()];
    bound.tensor = tensor;
    bound.name = std::move(name);
    bound.sizes = tensor.sizes().vec();
    bound.strides = tensor.strides().vec();
    bound.weights = tensor.data_ptr();
    return bound;
  }

  template <class Scalar>
  static void bind_gradient(BasicLayerwiseOptimizer<Scalar>& stack, detail::BoundTensor& bound,
                            const torch::Tensor& gradient) {
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
    if (memory == nullptr) {
      stack.set_gradient(bound.name, std::nullopt);
    } else {
      stack.set_gradient(bound.name, tensor_view<const Scalar>(gradient));
    }
    bound.gradient = memory;
    bound.gradient_strides = std::move(strides);
  }

  BasicLayerwiseOptimizer<float> floats_;
  BasicLayerwiseOptimizer<double> doubles_;
  std::unordered_map<const c10::TensorImpl*, detail::BoundTensor> bound_;
};

}}}  // namespace symopt::interop
