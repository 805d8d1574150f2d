// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/group/product.hpp>
#include <symopt/stack/rule_sets/transformer_roles.hpp>

namespace symopt { inline namespace SYMOPT_ABI {

/// The heads of latent attention (MLA), by the names of the model's configuration.
struct LatentHeads {
  Index count = 1;    ///< num_attention_heads
  Index content = 1;  ///< qk_nope_head_dim: entries of a head's query and key without rotary positions
  Index rotary = 1;   ///< qk_rope_head_dim: of a query with them, and of the key that all heads share
  Index value = 1;    ///< v_head_dim
  Index rank = 1;     ///< kv_lora_rank
};

/// The scores that a router makes of its logits: V2's softmax, which does not see a row that is added to all
/// rows of the router, or V3's sigmoid, which does.
enum class RouterScores { softmax, sigmoid };

/// The roles of a DeepSeek-V2 or V3 by its parameters' names (DeepseekV2ForCausalLM, DeepseekV3ForCausalLM):
/// latent attention with queries by q_proj or by q_a_proj and q_b_proj, a block for each head of q_b_proj and
/// o_proj and two of kv_b_proj, its key and its value; a dense SwiGLU in the first layers, router, experts
/// and shared experts in the others. Under RouterScores::sigmoid a router has the role `sigmoid_router`,
/// whose group has no shift, in place of roles.router. AdamW for gains and biases; the router's correction
/// bias, which no gradient moves, is to be given without one, or not at all.
template <class Scalar = float>
BasicRouting<Scalar> deepseek(
    LatentHeads heads, RouterScores scores, Embeddings embeddings = Embeddings::untied,
    const TransformerRoles<Scalar>& roles = {},
    const BasicRole<Scalar>& sigmoid_router = role<Product<RowPermutation, RightOrthogonal>, Scalar>()) {
  using namespace layout;
  BasicRouting<Scalar> routing = symopt::detail::embedding_routing(embeddings, roles);
  const std::string attention = "model.layers.*.self_attn.", mlp = "model.layers.*.mlp.";
  routing.add_optional(attention + "q_a_proj.weight", roles.attention);
  routing.add_optional(attention + "{q,q_b}_proj.weight", roles.attention.with(row_heads(heads.count)));
  routing.add(attention + "kv_a_proj_with_mqa.weight",
              roles.attention.with(row_sections({heads.rank, heads.rotary})));
  routing.add(attention + "kv_b_proj.weight",
              roles.attention.with(latent_key_value(heads.count, heads.content, heads.value)));
  routing.add(attention + "o_proj.weight", roles.attention.with(column_heads(heads.count)));
  routing.add(mlp + "gate.weight", scores == RouterScores::softmax ? roles.router : sigmoid_router);
  symopt::detail::add_experts(routing, mlp, "{gate,up}_proj", "down_proj", roles);
  routing.add_optional(mlp + "{shared_experts.,}{gate,up}_proj.weight", roles.swiglu_input);
  routing.add_optional(mlp + "{shared_experts.,}down_proj.weight", roles.swiglu_output);
  return routing;
}

}}  // namespace symopt
