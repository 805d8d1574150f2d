// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/stack/rule_sets/transformer_roles.hpp>

namespace symopt { inline namespace SYMOPT_ABI {

/// The roles of a Gemma 3 text model by its parameters' names (Gemma3ForCausalLM). Its embedding is also the
/// head; the GeGLU has the symmetry of a SwiGLU. AdamW for the gains. Source: arXiv 2605.18106.
template <class Scalar = float>
BasicRouting<Scalar> gemma3(AttentionHeads heads, const TransformerRoles<Scalar>& roles = {}) {
  BasicRouting<Scalar> routing = detail::transformer_routing(heads, Embeddings::tied, roles);
  detail::add_dense_mlp(routing, roles);
  return routing;
}

}}  // namespace symopt
