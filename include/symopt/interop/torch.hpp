// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/error.hpp>
#include <symopt/interop/torch/bound_groups.hpp>
#include <symopt/interop/torch/stack_tensors.hpp>
#include <symopt/interop/torch/tensor_stack.hpp>
#include <symopt/interop/torch_groups.hpp>
#include <symopt/stack/layerwise_optimizer.hpp>
#if __has_include(<nlohmann/json.hpp>)
#include <symopt/interop/torch/archive.hpp>
#include <symopt/interop/torch/joint_state.hpp>
#endif

#include <torch/optim/optimizer.h>
#include <torch/serialize/archive.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <cstddef>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace symopt { inline namespace SYMOPT_ABI { namespace interop {

namespace detail {

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
/// the same memory; at a step those of LayerwiseOptimizer, with the tensor named. Tensors in float and
/// tensors in double are two stacks: where a step of the latter is refused for another reason than its
/// gradients, the former have stepped.
class TorchOptimizer : public torch::optim::Optimizer {
 public:
  /// Binds all tensors of the groups. Errors: std::invalid_argument for a tensor that its role cannot take,
  /// and for two parameters in the same memory.
  explicit TorchOptimizer(std::vector<torch::optim::OptimizerParamGroup> groups, TorchOptions options = {})
      : torch::optim::Optimizer(std::move(groups), std::make_unique<detail::NoDefaultOptions>()),
        stacks_(options) {
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
    stacks_.float_tensors.require_ready();
    stacks_.double_tensors.require_ready();
    // A stack looks at its own gradients; where there are several, at the others' too before one moves.
    std::size_t stacks = 0;
    stacks_.for_each([&](const auto& stack) { stacks += stack.size() > 0 ? 1 : 0; });
    bool are_finite = true;
    if (stacks > 1)
      stacks_.for_each([&](const auto& stack) {
        are_finite = are_finite && (stack.size() == 0 || stack.inspect().non_finite.empty());
      });
    if (!are_finite) return loss;
    stacks_.floats.step();
    stacks_.doubles.step();
    if (stacks_.float_tensors.size() > 0) stacks_.float_tensors.step(stacks > 1);
    if (stacks_.double_tensors.size() > 0) stacks_.double_tensors.step(stacks > 1);
    return loss;
  }

  /// The plan of all parameters, those in float before those in double: blocks, rule, scale and rate of each.
  Plan plan() const {
    std::vector<PlanRow> all;
    stacks_.for_each([&](const auto& stack) {
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
    detail::ArchivedOptimizer{.floats = detail::as_tensor(float_state().bytes()),
                              .doubles = detail::as_tensor(double_state().bytes()),
                              .rates = detail::ArchivedOptimizer::rates_of(param_groups_)}
        .write(archive);
  }
  void load(torch::serialize::InputArchive& archive) override {
    const auto saved = detail::ArchivedOptimizer::read(archive, param_groups_);
    const torch::Tensor before = detail::as_tensor(float_state().bytes({.allow_non_finite = true}));
    float_state().load(detail::bytes_of(saved.floats));
    try {
      double_state().load(detail::bytes_of(saved.doubles));
    } catch (...) {
      float_state().load(detail::bytes_of(before), {.allow_non_finite = true});
      throw;
    }
    saved.set_rates(param_groups_);
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

  /// \cond for BoundGroups
  /// The stacks of all tensors: for each scalar one of those that kernels step, in CPU memory, and one of
  /// those that libtorch's operations step.
  struct Stacks {
    explicit Stacks(TorchOptions options)
        : by_operations(options.by_operations),
          float_tensors(options.polar_products),
          double_tensors(options.polar_products) {}

    bool by_operations;
    BasicLayerwiseOptimizer<float> floats{};
    BasicLayerwiseOptimizer<double> doubles{};
    detail::TensorStack<float> float_tensors;
    detail::TensorStack<double> double_tensors;

    /// visit(stack) for all stacks, those of floats before those of doubles.
    ///@{
    void for_each(const auto& visit) { visit_all(*this, visit); }
    void for_each(const auto& visit) const { visit_all(*this, visit); }
    ///@}
    void choose(const torch::Tensor& tensor, const std::string&, const GroupOptions& options,
                const auto& visit) {
      const bool is_native = tensor.device().is_cpu() && !by_operations;
      if (tensor.scalar_type() == torch::kDouble) {
        is_native ? visit(doubles, options.double_role()) : visit(double_tensors, options.double_role());
      } else {
        const std::optional<Role> role = options.role();
        is_native ? visit(floats, role) : visit(float_tensors, role);
      }
    }
    static const torch::Tensor& gradient_to_bind(detail::BoundTensor&, const torch::Tensor& gradient) {
      return gradient;
    }

   private:
    static void visit_all(auto& self, const auto& visit) {
      visit(self.floats);
      visit(self.float_tensors);
      visit(self.doubles);
      visit(self.double_tensors);
    }
  };
  /// \endcond

#if __has_include(<nlohmann/json.hpp>)
  // Saving reads, but for the states of other devices, which are in memory of the CPU for that time.
  detail::JointState<float> float_state() const {
    auto& self = const_cast<TorchOptimizer&>(*this);
    return {self.stacks_.floats, self.stacks_.float_tensors};
  }
  detail::JointState<double> double_state() const {
    auto& self = const_cast<TorchOptimizer&>(*this);
    return {self.stacks_.doubles, self.stacks_.double_tensors};
  }
#else
  [[noreturn]] static void refuse_archive() {
    throw std::logic_error(
        "symopt: TorchOptimizer is saved and loaded with nlohmann-json, which was not found by the compiler");
  }
#endif

  void bind_all() {
    groups_.update(stacks_, param_groups_);
  }
  /// \cond private
  /// The stacks of tensors hold the gradients that they are given, and not beyond a step, however it ends.
  struct GradientsEnd {
    TorchOptimizer& optimizer;
    ~GradientsEnd() { optimizer.release_gradients(); }
  };
  /// \endcond
  void release_gradients() {
    if (stacks_.float_tensors.size() + stacks_.double_tensors.size() == 0) return;
    stacks_.float_tensors.release_gradients();
    stacks_.double_tensors.release_gradients();
    groups_.forget_gradients([this](const std::string& name) {
      return stacks_.float_tensors.contains(name) || stacks_.double_tensors.contains(name);
    });
  }

  Stacks stacks_;
  detail::BoundGroups groups_;
};

}}}  // namespace symopt::interop
