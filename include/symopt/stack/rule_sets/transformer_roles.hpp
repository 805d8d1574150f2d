// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/error.hpp>
#include <symopt/optimizer/adamw.hpp>
#include <symopt/optimizer/adaptive.hpp>
#include <symopt/stack/routing.hpp>

#include <string>

namespace symopt { inline namespace SYMOPT_ABI {

/// The roles of a transformer's parameter classes, for the rule sets: the updates of arXiv 2605.18106, at the
/// stack's one rate in AdamW's units. Each may be replaced by another rule, rate or option:
///   TransformerRoles<> roles;
///   roles.head = role<LmHead>({.learning_rate = 0.02});
///   roles.swiglu_input = role<Update<SwigluInput, Then<RowNorm, Spectral<>>>>({.learning_rate = 0.01});
/// The rule sets add the layouts.
template <class Scalar = float>
struct TransformerRoles {
  BasicRole<Scalar> embedding = role<Embedding, Scalar>();           ///< untied
  BasicRole<Scalar> tied_embedding = role<TiedEmbedding, Scalar>();  ///< also the head
  BasicRole<Scalar> head = role<LmHead, Scalar>();                   ///< under softmax
  BasicRole<Scalar> attention = role<HiddenMatrix, Scalar>();        ///< each head by itself
  BasicRole<Scalar> swiglu_input = role<SwigluInput, Scalar>();      ///< gate, up
  BasicRole<Scalar> swiglu_output = role<SwigluOutput, Scalar>();    ///< down
  BasicRole<Scalar> router = role<Router, Scalar>();                 ///< under softmax
  BasicRole<Scalar> other = role<AdamW, Scalar>();                   ///< gains, biases
  /// Gate and up matrices that share a tensor: one row per neuron, or two matrices.
  Neurons gate_up = Neurons::paired;
};

/// The roles with second moments for embeddings, head and router, and the updates of arXiv 2605.18106 for the
/// rest. How they do beside AdamW at AdamW's own rate: docs/experiments.md.
///   stack.route(parameters, qwen3(heads, Embeddings::untied, adaptive_roles<>()));
template <class Scalar = float>
TransformerRoles<Scalar> adaptive_roles() {
  TransformerRoles<Scalar> roles;
  roles.embedding = role<Adaptive<Embedding>, Scalar>();
  roles.tied_embedding = role<Adaptive<TiedEmbedding>, Scalar>();
  roles.head = role<Adaptive<LmHead>, Scalar>();
  roles.router = role<Adaptive<Router>, Scalar>();
  return roles;
}

/// The heads of a model's attention: `key_value` divides `query`, and is less with grouped queries.
struct AttentionHeads {
  Index query = 1;      ///< heads of q and o
  Index key_value = 1;  ///< heads of k and v
};

/// The matrix of the head: its own, or that of the embedding.
enum class Embeddings { untied, tied };

namespace detail {

/// The patterns of the embedding and the head, and AdamW for vectors. The names of the rule sets are those of
/// the models in Hugging Face's transformers.
template <class Scalar>
BasicRouting<Scalar> embedding_routing(Embeddings embeddings, const TransformerRoles<Scalar>& roles) {
  BasicRouting<Scalar> routing;
  routing.set_vectors(roles.other);
  if (embeddings == Embeddings::tied) {
    routing.add("model.embed_tokens.weight", roles.tied_embedding);
    routing.add_hint("lm_head.weight", "the embedding is the head here (Embeddings::tied), so leave it out");
  } else {
    routing.add("model.embed_tokens.weight", roles.embedding);
    routing.add("lm_head.weight", roles.head);
    routing.add_hint("lm_head.weight",
                     "a model whose embedding is also the head has none: then say Embeddings::tied");
  }
  return routing;
}

/// Throws Error unless the query heads can share the key-value heads.
inline void require_shared(AttentionHeads heads) {
  if (heads.query < 1 || heads.key_value < 1 || heads.query % heads.key_value != 0)
    throw Error(std::to_string(heads.query) + " query heads cannot share " + std::to_string(heads.key_value) +
                " key-value heads: the first is a multiple of the second");
}

/// Those, and attention by heads.
template <class Scalar>
BasicRouting<Scalar> transformer_routing(AttentionHeads heads, Embeddings embeddings,
                                         const TransformerRoles<Scalar>& roles) {
  require_shared(heads);
  BasicRouting<Scalar> routing = embedding_routing(embeddings, roles);
  const std::string attention = "model.layers.*.self_attn.";
  routing.add(attention + "q_proj.weight", roles.attention.with(layout::row_heads(heads.query)));
  routing.add(attention + "{k,v}_proj.weight", roles.attention.with(layout::row_heads(heads.key_value)));
  routing.add(attention + "o_proj.weight", roles.attention.with(layout::column_heads(heads.query)));
  return routing;
}

/// A dense SwiGLU (or GeGLU) in every layer.
template <class Scalar>
void add_dense_mlp(BasicRouting<Scalar>& routing, const TransformerRoles<Scalar>& roles) {
  routing.add("model.layers.*.mlp.{gate,up}_proj.weight", roles.swiglu_input);
  routing.add("model.layers.*.mlp.down_proj.weight", roles.swiglu_output);
}

/// Experts in every layer or some, below `mlp` ("model.layers.*.mlp."): each in its own tensors by these
/// names (experts.7.gate_proj.weight), or all in one, gate above up (experts.gate_up_proj [E, 2r, d],
/// experts.down_proj [E, d, r]).
template <class Scalar>
void add_experts(BasicRouting<Scalar>& routing, const std::string& mlp, const std::string& input,
                 const std::string& output, const TransformerRoles<Scalar>& roles) {
  routing.add_optional(mlp + "experts.*." + input + ".weight", roles.swiglu_input);
  routing.add_optional(mlp + "experts.*." + output + ".weight", roles.swiglu_output);
  routing.add_optional(
      mlp + "experts.gate_up_proj",
      roles.swiglu_input.with(layout::experts(layout::gate_up(GateUp::concatenated, roles.gate_up))));
  routing.add_optional(mlp + "experts.down_proj", roles.swiglu_output.with(layout::experts()));
}

}  // namespace detail

}}  // namespace symopt
