// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

/// A parameter of Qwen3-0.6B: its name in Hugging Face's transformers and its shape; one dimension for a
/// gain.
struct Qwen3Parameter {
  std::string name;
  std::vector<std::int64_t> sizes;
};

/// The part of the model whose time is asked for.
enum class Qwen3Part { all, embedding, attention, mlp };

inline const char* to_string(Qwen3Part part) {
  switch (part) {
    case Qwen3Part::embedding:
      return "stack_embedding";
    case Qwen3Part::attention:
      return "stack_attention";
    case Qwen3Part::mlp:
      return "stack_mlp";
    case Qwen3Part::all:
      break;
  }
  return "stack";
}

namespace qwen3_shape {

inline constexpr std::int64_t width = 1024, neurons = 3072, vocabulary = 151936;
inline constexpr std::int64_t query_heads = 16, key_value_heads = 8, head_size = 128;
inline constexpr int all_layers = 28;
/// Of these, so that weights, gradients and the states of all peers fit in 24 GiB.
inline constexpr int layers = 4;

/// Source: the published configuration of Qwen/Qwen3-0.6B (hidden 1024, intermediate 3072, 16 query and 8
/// key-value heads of 128, vocabulary 151936, the embedding is also the head).
inline std::vector<Qwen3Parameter> parameters(Qwen3Part part, int layer_count = layers) {
  const auto is_in = [&](Qwen3Part one) { return part == Qwen3Part::all || part == one; };
  std::vector<Qwen3Parameter> all;
  if (is_in(Qwen3Part::embedding)) all.push_back({"model.embed_tokens.weight", {vocabulary, width}});
  for (int i = 0; i < layer_count; ++i) {
    const std::string layer = "model.layers." + std::to_string(i) + ".";
    if (is_in(Qwen3Part::attention)) {
      all.push_back({layer + "self_attn.q_proj.weight", {query_heads * head_size, width}});
      all.push_back({layer + "self_attn.k_proj.weight", {key_value_heads * head_size, width}});
      all.push_back({layer + "self_attn.v_proj.weight", {key_value_heads * head_size, width}});
      all.push_back({layer + "self_attn.o_proj.weight", {width, query_heads * head_size}});
      all.push_back({layer + "self_attn.q_norm.weight", {head_size}});
      all.push_back({layer + "self_attn.k_norm.weight", {head_size}});
      all.push_back({layer + "input_layernorm.weight", {width}});
    }
    if (is_in(Qwen3Part::mlp)) {
      all.push_back({layer + "mlp.gate_proj.weight", {neurons, width}});
      all.push_back({layer + "mlp.up_proj.weight", {neurons, width}});
      all.push_back({layer + "mlp.down_proj.weight", {width, neurons}});
      all.push_back({layer + "post_attention_layernorm.weight", {width}});
    }
  }
  return all;
}

}  // namespace qwen3_shape
