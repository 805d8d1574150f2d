// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <memory>

#include "decoder.hpp"
#include "gated_mlp.hpp"
#include "grouped_attention.hpp"
#include "norm.hpp"

namespace language_model {

/// A layer of a Qwen3: grouped queries with a norm of each head's queries and keys, and a SwiGLU, each behind
/// a norm. No biases.
class Qwen3Layer final : public DecoderLayer {
 public:
  explicit Qwen3Layer(const ModelShape& shape)
      : input_layernorm_{register_module("input_layernorm", Norm{shape.width, NormOptions{}})},
        self_attn_{register_module(
            "self_attn", GroupedAttention{shape, AttentionOptions{.query_key_norm = QueryKeyNorm::each_head,
                                                                  .rotary_base = 1e6}})},
        post_attention_layernorm_{
            register_module("post_attention_layernorm", Norm{shape.width, NormOptions{}})},
        mlp_{register_module("mlp", GatedMlp{shape, Activation::silu})} {}

  torch::Tensor forward(const torch::Tensor& x) override {
    const torch::Tensor y = x + self_attn_(input_layernorm_(x));
    return y + mlp_(post_attention_layernorm_(y));
  }

 private:
  Norm input_layernorm_;
  GroupedAttention self_attn_;
  Norm post_attention_layernorm_;
  GatedMlp mlp_;
};

/// Qwen3-0.6B's proportions: twice the width in 2 query heads for each key-value head, neurons three times
/// the width, an embedding that is also the head.
inline ModelShape qwen3_shape() {
  return {.width = 96, .heads = 8, .key_value_heads = 4, .head_size = 24, .experts = 0, .neurons = 288};
}

/// By the names and formulas of Qwen3ForCausalLM.
inline std::shared_ptr<LanguageModel> make_qwen3(const ModelShape& shape, std::uint64_t seed) {
  return std::make_shared<Decoder>(
      shape, DecoderOptions{.is_tied = true},
      [&](std::int64_t) { return std::make_shared<Qwen3Layer>(shape); }, seed);
}

}  // namespace language_model
