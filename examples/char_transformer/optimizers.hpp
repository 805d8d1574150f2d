// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "model.hpp"

#include <symopt/interop/torch.hpp>
#include <symopt/stack/routing.hpp>
#include <symopt/stack/rule_sets/transformer_roles.hpp>

#include <torch/torch.h>

#include <functional>
#include <memory>

namespace char_transformer {

using OptimizerPointer = std::unique_ptr<torch::optim::Optimizer>;

/// Before.
inline OptimizerPointer make_adamw(const Model& model, double rate) {
  return std::make_unique<torch::optim::AdamW>(model->parameters(),
                                               torch::optim::AdamWOptions(rate).weight_decay(0.1));
}

/// The role of each parameter, by name.
inline symopt::Routing routing(symopt::Index heads, const symopt::TransformerRoles<>& roles) {
  symopt::Routing routing;
  routing.add("embedding.weight", roles.embedding);
  routing.add("head.weight", roles.head);
  routing.add("layer*.attention.{query,key,value}.weight",
              roles.attention.with(symopt::layout::row_heads(heads)));
  routing.add("layer*.attention.output.weight", roles.attention.with(symopt::layout::column_heads(heads)));
  routing.add("layer*.mlp.{gate,up}.weight", roles.swiglu_input);
  routing.add("layer*.mlp.down.weight", roles.swiglu_output);
  routing.add("positions.weight", roles.other);  // AdamW, as for the gains, which need no line
  return routing;
}

/// After.
inline OptimizerPointer make_symopt(const Model& model, double rate,
                                    const symopt::TransformerRoles<>& roles = symopt::adaptive_roles<>()) {
  const symopt::Index heads = model->embedding->weight.size(1) / head_size;
  return std::make_unique<symopt::interop::TorchOptimizer>(symopt::interop::parameter_groups(
      model->named_parameters(), routing(heads, roles), {.learning_rate = rate, .weight_decay = 0.1}));
}

}  // namespace char_transformer
