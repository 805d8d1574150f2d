// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/stack/rule_sets/transformer_roles.hpp>

namespace symopt { inline namespace SYMOPT_ABI {

/// The roles of a dense Qwen3 by its parameters' names (Qwen3ForCausalLM): attention by heads, SwiGLU by
/// neurons, an embedding that is also the head in the small models. AdamW for the gains. Source: arXiv
/// 2605.18106.
template <class Scalar = float>
BasicRouting<Scalar> qwen3(AttentionHeads heads, Embeddings embeddings,
                           const TransformerRoles<Scalar>& roles = {}) {
  BasicRouting<Scalar> routing = detail::transformer_routing(heads, embeddings, roles);
  detail::add_dense_mlp(routing, roles);
  return routing;
}

}}  // namespace symopt
