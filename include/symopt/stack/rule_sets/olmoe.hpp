// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/stack/rule_sets/transformer_roles.hpp>

namespace symopt { inline namespace SYMOPT_ABI {

/// The roles of an OLMoE by its parameters' names (OlmoeForCausalLM): router and SwiGLU experts in every
/// layer, the experts each in its own tensors (experts.7.gate_proj.weight) or all in one, gate above up
/// (experts.gate_up_proj [E, 2r, d], experts.down_proj [E, d, r]). AdamW for the gains.
/// The router's shift is a symmetry of its softmax only: with a router z-loss, set roles.router to
/// role<Embedding>(...), whose group has no shift. Source: arXiv 2605.18106.
template <class Scalar = float>
BasicRouting<Scalar> olmoe(AttentionHeads heads, Embeddings embeddings = Embeddings::untied,
                           const TransformerRoles<Scalar>& roles = {}) {
  BasicRouting<Scalar> routing = detail::transformer_routing(heads, embeddings, roles);
  const std::string mlp = "model.layers.*.mlp.";
  routing.add(mlp + "gate.weight", roles.router);
  detail::add_experts(routing, mlp, "{gate,up}_proj", "down_proj", roles);
  return routing;
}

}}  // namespace symopt
