// SPDX-License-Identifier: Apache-2.0
#include "optimizers.hpp"

#include <symopt/interop/torch.hpp>
#include <symopt/stack/routing.hpp>

#include <string>

#include "routing.hpp"

namespace language_model {

namespace {

std::unique_ptr<torch::optim::Optimizer> stack_by(const symopt::Routing& routing, const LanguageModel& model,
                                                  const Settings& settings) {
  return std::make_unique<symopt::interop::TorchOptimizer>(
      symopt::interop::parameter_groups(model.named_parameters(), routing, stack_options(settings)));
}

}  // namespace

std::unique_ptr<torch::optim::Optimizer> make_adamw(const LanguageModel& model, const Settings& settings) {
  std::vector<torch::Tensor> embedding, head, tied_embedding, matrices, vectors;
  for (const auto& parameter : model.named_parameters()) {
    const std::string& name = parameter.key();
    const torch::Tensor& weights = parameter.value();
    const bool is_embedding = name.find("embed") != std::string::npos;
    if (weights.is_same(model.head_weight())) {
      (is_embedding ? tied_embedding : head).push_back(weights);
    } else if (is_embedding) {
      embedding.push_back(weights);
    } else {  // the biases of experts are a matrix, a row for each
      (weights.dim() == 1 || name.ends_with("bias") ? vectors : matrices).push_back(weights);
    }
  }
  std::vector<torch::optim::OptimizerParamGroup> groups;
  const auto add = [&](std::vector<torch::Tensor> tensors, double ratio, double weight_decay) {
    if (tensors.empty()) return;
    auto options = std::make_unique<torch::optim::AdamWOptions>(settings.learning_rate * ratio);
    options->betas({settings.beta1, settings.beta2}).weight_decay(weight_decay);
    groups.emplace_back(std::move(tensors), std::move(options));
  };
  add(embedding, settings.embedding, settings.weight_decay);
  add(head, settings.head, settings.weight_decay);
  add(tied_embedding, settings.tied_embedding, settings.weight_decay);
  add(matrices, 1, settings.weight_decay);
  add(vectors, 1, 0);
  return std::make_unique<torch::optim::AdamW>(std::move(groups));
}

std::unique_ptr<torch::optim::Optimizer> make_stack(const LanguageModel& model, const ModelShape& shape,
                                                    const Kinds& kinds, const Settings& settings) {
  return stack_by(routing_of(shape, kinds, settings), model, settings);
}

std::unique_ptr<torch::optim::Optimizer> make_stack(const LanguageModel& model, Family family,
                                                    const ModelShape& shape, Rule rule,
                                                    const Settings& settings) {
  return stack_by(routing_of(family, shape, rule, settings), model, settings);
}

symopt::Plan plan_of(const torch::optim::Optimizer& stack) {
  return dynamic_cast<const symopt::interop::TorchOptimizer&>(stack).plan();
}

}  // namespace language_model
