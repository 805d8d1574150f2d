// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/stack/rule_sets/transformer_roles.hpp>

namespace symopt { inline namespace SYMOPT_ABI {

/// The roles of a Mixtral by its parameters' names (MixtralForCausalLM): router and SwiGLU experts in every
/// layer, with w1 the gate, w3 up and w2 down (block_sparse_moe.experts.7.w1.weight), or all experts in one
/// tensor (mlp.experts.gate_up_proj), as later versions of transformers have them. AdamW for the gains.
/// The router's shift is a symmetry of its softmax only: with a router z-loss, set roles.router to
/// role<Embedding>(...), whose group has no shift.
template <class Scalar = float>
BasicRouting<Scalar> mixtral(AttentionHeads heads, Embeddings embeddings = Embeddings::untied,
                             const TransformerRoles<Scalar>& roles = {}) {
  BasicRouting<Scalar> routing = detail::transformer_routing(heads, embeddings, roles);
  const std::string mlp = "model.layers.*.{block_sparse_moe,mlp}.";
  routing.add(mlp + "gate.weight", roles.router);
  detail::add_experts(routing, mlp, "w{1,3}", "w2", roles);
  return routing;
}

}}  // namespace symopt
