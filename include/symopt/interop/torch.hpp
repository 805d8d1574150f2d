// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/symopt.hpp>

#include <torch/optim/optimizer.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

namespace symopt::interop {

namespace detail {

/// True for rules that treat every entry alike, and so may be given a 1-D tensor.
template <class Rule>
constexpr bool acts_entrywise() {
  if constexpr (StatesLargestGroup<Rule>) {
    return claimed_families<Rule> == claimed_families<Sign>;
  } else {
    return false;
  }
}

/// The symopt optimizer of one tensor, its rule and scalar hidden.
class TensorOptimizer {
 public:
  virtual ~TensorOptimizer() = default;
  virtual StepReport step(const torch::Tensor& parameter, const torch::Tensor& gradient, double rate) = 0;
};

/// Calls visit with an Eigen view of the tensor's memory as a matrix: row-major, or column-major for a
/// transposed tensor. A 1-D tensor is one row. Throws std::invalid_argument on any other stride.
template <class Scalar>
void visit_memory(const torch::Tensor& tensor, const std::string& name, auto visit) {
  using Outer = Eigen::OuterStride<>;
  using ColumnMajor = Eigen::Matrix<Scalar, Eigen::Dynamic, Eigen::Dynamic>;
  Scalar* data = tensor.data_ptr<Scalar>();
  if (tensor.dim() == 1 && (tensor.stride(0) == 1 || tensor.size(0) <= 1)) {
    visit(Eigen::Map<Matrix<Scalar>, 0, Outer>(data, 1, tensor.size(0), Outer(tensor.size(0))));
  } else if (tensor.dim() == 2 && (tensor.stride(1) == 1 || tensor.size(1) <= 1)) {
    visit(
        Eigen::Map<Matrix<Scalar>, 0, Outer>(data, tensor.size(0), tensor.size(1), Outer(tensor.stride(0))));
  } else if (tensor.dim() == 2 && (tensor.stride(0) == 1 || tensor.size(0) <= 1)) {
    visit(Eigen::Map<ColumnMajor, 0, Outer>(data, tensor.size(0), tensor.size(1), Outer(tensor.stride(1))));
  } else {
    throw std::invalid_argument("symopt: parameter '" + name +
                                "': neither rows nor columns are contiguous; call contiguous() on the "
                                "tensor before it becomes a parameter");
  }
}

template <class Rule, class Scalar>
class TypedTensorOptimizer final : public TensorOptimizer {
 public:
  TypedTensorOptimizer(Shape shape, const OptimizerOptions& options, const Rule& rule)
      : optimizer_(shape.rows, shape.cols, options, rule) {}

  StepReport step(const torch::Tensor& parameter, const torch::Tensor& gradient, double rate) override {
    optimizer_.set_learning_rate(rate);
    const std::string& name = optimizer_.options().parameter;
    StepReport report;
    visit_memory<Scalar>(parameter, name, [&](auto weights) {
      visit_memory<Scalar>(gradient, name,
                           [&](const auto& slope) { report = optimizer_.step(weights, slope); });
    });
    return report;
  }

 private:
  Optimizer<Rule, Scalar> optimizer_;
};

/// Stands for "no options given": groups made by parameter_group never fall back to it.
struct NoDefaultOptions : torch::optim::OptimizerCloneableOptions<NoDefaultOptions> {};

}  // namespace detail

/// The options of one group of tensors: symopt's options and a rule, with the learning rate where torch's
/// schedulers look for it. Made by parameter_group.
class GroupOptions : public torch::optim::OptimizerCloneableOptions<GroupOptions> {
 public:
  // Inside this class OptimizerOptions would name torch's base class.
  using BlockOptions = symopt::OptimizerOptions;

  template <class Rule>
  GroupOptions(BlockOptions options, Rule rule)
      : options_(std::move(options)), make_([rule](const torch::Tensor& tensor, const BlockOptions& o) {
          return make_optimizer(tensor, o, rule);
        }) {
    validate(options_);
  }

  double get_lr() const override { return options_.learning_rate; }
  void set_lr(const double rate) override {
    BlockOptions changed = options_;
    changed.learning_rate = rate;
    validate(changed);
    options_ = std::move(changed);
  }

  const BlockOptions& options() const { return options_; }

  std::unique_ptr<detail::TensorOptimizer> make(const torch::Tensor& tensor, const std::string& name) const {
    BlockOptions named = options_;
    named.parameter =
        options_.parameter == BlockOptions{}.parameter ? name : options_.parameter + ", " + name;
    return make_(tensor, named);
  }

 private:
  template <class Rule>
  static std::unique_ptr<detail::TensorOptimizer> make_optimizer(const torch::Tensor& tensor,
                                                                 const BlockOptions& options,
                                                                 const Rule& rule) {
    const auto require = [&](bool good, const char* remedy) {
      if (!good) throw std::invalid_argument("symopt: parameter '" + options.parameter + "': " + remedy);
    };
    require(tensor.device().is_cpu() && tensor.layout() == torch::kStrided,
            "symopt updates dense tensors in CPU memory");
    require(tensor.dim() == 2 || (tensor.dim() == 1 && detail::acts_entrywise<Rule>()),
            "this rule needs a matrix (2-D tensor); give 1-D tensors to AdamW, and view others as matrices");
    const Shape shape = tensor.dim() == 1 ? Shape{1, tensor.size(0)} : Shape{tensor.size(0), tensor.size(1)};
    if (tensor.scalar_type() == torch::kFloat)
      return std::make_unique<detail::TypedTensorOptimizer<Rule, float>>(shape, options, rule);
    require(tensor.scalar_type() == torch::kDouble, "symopt updates float and double tensors");
    return std::make_unique<detail::TypedTensorOptimizer<Rule, double>>(shape, options, rule);
  }

  BlockOptions options_;
  std::function<std::unique_ptr<detail::TensorOptimizer>(const torch::Tensor&, const BlockOptions&)> make_;
};

/// A parameter group under one rule: parameter_group<Update<Embedding>>({w}, {.learning_rate = 0.5}).
/// Tensors are matrices [rows, cols], float or double, contiguous by rows or by columns; rules that act
/// entry by entry (AdamW, Sign) also take 1-D tensors.
template <class Rule>
torch::optim::OptimizerParamGroup parameter_group(std::vector<torch::Tensor> parameters,
                                                  OptimizerOptions options = {}, Rule rule = {}) {
  return {std::move(parameters), std::make_unique<GroupOptions>(std::move(options), std::move(rule))};
}

/// symopt as an optimizer of libtorch: updates the parameters' memory in place, without copies. Learning
/// rates are read from the groups' options at every step, so torch's schedulers drive them.
/// A parameter without a gradient is left alone, decay included.
/// Errors: std::invalid_argument at construction for a tensor that its rule cannot take; at a step those of
/// symopt::Optimizer, with the tensor named by group, place and shape.
class TorchOptimizer : public torch::optim::Optimizer {
 public:
  explicit TorchOptimizer(std::vector<torch::optim::OptimizerParamGroup> groups)
      : torch::optim::Optimizer(std::move(groups), std::make_unique<detail::NoDefaultOptions>()) {
    for_each_tensor([&](GroupOptions& options, torch::Tensor& tensor, const std::string& name) {
      optimizer_of(options, tensor, name);
    });
  }

  torch::Tensor step(LossClosure closure = nullptr) override {
    torch::Tensor loss;
    if (closure != nullptr) {
      const torch::AutoGradMode with_gradients(true);
      loss = closure();
    }
    const torch::NoGradGuard no_gradients;
    for_each_tensor([&](GroupOptions& options, torch::Tensor& tensor, const std::string& name) {
      const torch::Tensor& gradient = tensor.grad();
      if (!gradient.defined()) return;
      if (gradient.layout() != torch::kStrided || gradient.scalar_type() != tensor.scalar_type())
        throw std::invalid_argument("symopt: parameter '" + name +
                                    "': the gradient must be dense and of the parameter's scalar type");
      optimizer_of(options, tensor, name).step(tensor, gradient, options.get_lr());
    });
    return loss;
  }

  /// Not supported: throws, rather than writing a file without the momentum.
  void save(torch::serialize::OutputArchive&) const override { refuse_archive(); }
  void load(torch::serialize::InputArchive&) override { refuse_archive(); }

 private:
  [[noreturn]] static void refuse_archive() {
    throw std::logic_error("symopt: TorchOptimizer cannot be saved to or loaded from an archive");
  }

  void for_each_tensor(auto visit) {
    for (std::size_t g = 0; g < param_groups_.size(); ++g) {
      auto* options = dynamic_cast<GroupOptions*>(&param_groups_[g].options());
      if (options == nullptr)
        throw std::invalid_argument("symopt: parameter group " + std::to_string(g) +
                                    " has no symopt rule; make it with parameter_group<Rule>(...)");
      std::vector<torch::Tensor>& tensors = param_groups_[g].params();
      for (std::size_t t = 0; t < tensors.size(); ++t)
        visit(*options, tensors[t], "group " + std::to_string(g) + ", tensor " + std::to_string(t));
    }
  }

  detail::TensorOptimizer& optimizer_of(const GroupOptions& options, const torch::Tensor& tensor,
                                        const std::string& name) {
    auto& optimizer = optimizers_[tensor.unsafeGetTensorImpl()];
    if (!optimizer) optimizer = options.make(tensor, name);
    return *optimizer;
  }

  std::unordered_map<const c10::TensorImpl*, std::unique_ptr<detail::TensorOptimizer>> optimizers_;
};

}  // namespace symopt::interop
