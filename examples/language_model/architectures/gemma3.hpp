// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <torch/torch.h>

#include <cmath>
#include <cstdint>
#include <memory>

#include "decoder.hpp"
#include "gated_mlp.hpp"
#include "grouped_attention.hpp"
#include "norm.hpp"

namespace language_model {

/// The norms of a Gemma 3 multiply by 1 + gain.
inline constexpr NormOptions gemma3_norm{.offset = 1};

/// A layer of a Gemma 3: grouped queries with a norm of each head's queries and keys, and a GeGLU, each
/// between two norms. Local attention sees a window and turns its rotary planes faster. No biases.
class Gemma3Layer final : public DecoderLayer {
 public:
  Gemma3Layer(const ModelShape& shape, bool is_local)
      : input_layernorm_{norm("input_layernorm", shape)},
        self_attn_{register_module(
            "self_attn", GroupedAttention{shape, AttentionOptions{.query_key_norm = QueryKeyNorm::each_head,
                                                                  .norm = gemma3_norm,
                                                                  .window = is_local ? shape.window : 0,
                                                                  .rotary_base = is_local ? 1e4 : 1e6}})},
        post_attention_layernorm_{norm("post_attention_layernorm", shape)},
        pre_feedforward_layernorm_{norm("pre_feedforward_layernorm", shape)},
        mlp_{register_module("mlp", GatedMlp{shape, Activation::gelu})},
        post_feedforward_layernorm_{norm("post_feedforward_layernorm", shape)} {}

  torch::Tensor forward(const torch::Tensor& x) override {
    const torch::Tensor y = x + post_attention_layernorm_(self_attn_(input_layernorm_(x)));
    return y + post_feedforward_layernorm_(mlp_(pre_feedforward_layernorm_(y)));
  }

 private:
  Norm norm(const char* name, const ModelShape& shape) {
    return register_module(name, Norm{shape.width, gemma3_norm});
  }

  Norm input_layernorm_;
  GroupedAttention self_attn_;
  Norm post_attention_layernorm_;
  Norm pre_feedforward_layernorm_;
  GatedMlp mlp_;
  Norm post_feedforward_layernorm_;
};

/// Gemma 3 1B's proportions: one key-value head for four query heads, neurons six times the width, an
/// embedding that is also the head. Every second layer is local; of the published model's, five in six are.
inline ModelShape gemma3_shape() {
  return {.width = 96,
          .heads = 4,
          .key_value_heads = 1,
          .head_size = 24,
          .experts = 0,
          .neurons = 576,
          .window = 16};
}

/// By the names and formulas of Gemma3ForCausalLM, text alone.
inline std::shared_ptr<LanguageModel> make_gemma3(const ModelShape& shape, std::uint64_t seed) {
  return std::make_shared<Decoder>(
      shape,
      DecoderOptions{.is_tied = true,
                     .embedding_scale = std::sqrt(static_cast<double>(shape.width)),
                     .norm = gemma3_norm},
      [&](std::int64_t layer) { return std::make_shared<Gemma3Layer>(shape, layer % 2 == 0); }, seed);
}

}  // namespace language_model
