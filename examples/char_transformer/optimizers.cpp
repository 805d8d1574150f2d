// SPDX-License-Identifier: Apache-2.0
#include "optimizers.hpp"

#include <symopt/interop/torch.hpp>
#include <symopt/stack/routing.hpp>
#include <symopt/stack/rule_sets/transformer_roles.hpp>

#include "roles.hpp"

namespace char_transformer {
namespace {

/// The role of each parameter, by name.
symopt::Routing routing(symopt::Index heads, const symopt::TransformerRoles<>& roles) {
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

OptimizerPointer make_stack(const Model& model, double rate, const symopt::TransformerRoles<>& roles) {
  const symopt::Index heads = model->embedding->weight.size(1) / head_size;
  return std::make_unique<symopt::interop::TorchOptimizer>(symopt::interop::parameter_groups(
      model->named_parameters(), routing(heads, roles), {.learning_rate = rate, .weight_decay = 0.1}));
}

}  // namespace

OptimizerPointer make_adamw(const Model& model, double rate) {
  return std::make_unique<torch::optim::AdamW>(model->parameters(),
                                               torch::optim::AdamWOptions(rate).weight_decay(0.1));
}

OptimizerPointer make_symopt(const Model& model, double rate) {
  return make_stack(model, rate, adaptive_roles());
}

OptimizerPointer make_symopt_with_adaptive_mlp(const Model& model, double rate) {
  return make_stack(model, rate, roles_with_adaptive_mlp());
}

OptimizerPointer make_symopt_without_adaptive(const Model& model, double rate) {
  return make_stack(model, rate, derived_roles());
}

}  // namespace char_transformer
