// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/stack/rule_sets/transformer_roles.hpp>

namespace symopt { inline namespace SYMOPT_ABI {

/// The roles of a Llama by its parameters' names (LlamaForCausalLM), and of models that have the same names,
/// Mistral's and Qwen2's among them: attention by heads, SwiGLU by neurons, Embeddings::tied for a model
/// without an lm_head. AdamW for gains, and for the biases of Qwen2.
template <class Scalar = float>
BasicRouting<Scalar> llama(AttentionHeads heads, Embeddings embeddings = Embeddings::untied,
                           const TransformerRoles<Scalar>& roles = {}) {
  BasicRouting<Scalar> routing = detail::transformer_routing(heads, embeddings, roles);
  detail::add_dense_mlp(routing, roles);
  return routing;
}

}}  // namespace symopt
