// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <memory>

#include "decoder.hpp"
#include "gated_mlp.hpp"
#include "grouped_attention.hpp"
#include "norm.hpp"
#include "pre_norm_layer.hpp"

namespace language_model {

/// A layer of a Qwen3: grouped queries with a norm of each head's queries and keys, and a SwiGLU. No biases.
inline std::shared_ptr<DecoderLayer> qwen3_layer(const ModelShape& shape) {
  return std::make_shared<PreNormLayer<GatedMlp>>(
      shape.width, NormOptions{},
      GroupedAttention{shape,
                       AttentionOptions{.query_key_norm = QueryKeyNorm::each_head, .rotary_base = 1e6}},
      GatedMlp{shape, Activation::silu});
}

/// Qwen3-0.6B's proportions: twice the width in 2 query heads for each key-value head, neurons three times
/// the width, an embedding that is also the head.
inline ModelShape qwen3_shape() {
  return {.width = 96, .heads = 8, .key_value_heads = 4, .head_size = 24, .experts = 0, .neurons = 288};
}

/// By the names and formulas of Qwen3ForCausalLM.
inline std::shared_ptr<LanguageModel> make_qwen3(const ModelShape& shape, std::uint64_t seed) {
  return std::make_shared<Decoder>(
      shape, DecoderOptions{.is_tied = true}, [&](std::int64_t) { return qwen3_layer(shape); }, seed);
}

}  // namespace language_model
