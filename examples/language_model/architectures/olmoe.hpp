// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <memory>
#include <tuple>
#include <vector>

#include "../linear.hpp"
#include "../mix_experts.hpp"
#include "decoder.hpp"
#include "grouped_attention.hpp"
#include "norm.hpp"
#include "pre_norm_layer.hpp"

namespace language_model {

/// SwiGLU experts, gate above up [experts, 2 neurons, width] and down [experts, width, neurons].
struct OlmoeExpertsImpl : torch::nn::Module {
  explicit OlmoeExpertsImpl(const ModelShape& shape)
      : gate_up_proj{register_parameter("gate_up_proj",
                                        torch::empty({shape.experts, 2 * shape.neurons, shape.width}))},
        down_proj{
            register_parameter("down_proj", torch::empty({shape.experts, shape.width, shape.neurons}))} {}

  torch::Tensor gate_up_proj, down_proj;
};
TORCH_MODULE(OlmoeExperts);

/// Many small experts behind a softmax router: the largest probabilities are the experts' shares, which need
/// not sum to one.
struct OlmoeMixtureImpl : torch::nn::Module {
  explicit OlmoeMixtureImpl(const ModelShape& shape)
      : gate{register_module("gate", linear(shape.width, shape.experts))},
        experts{register_module("experts", OlmoeExperts{shape})},
        chosen_{shape.chosen} {}

  torch::Tensor forward(const torch::Tensor& x) {
    const torch::Tensor tokens = x.flatten(0, 1);
    const torch::Tensor logits = gate(tokens);
    const torch::Tensor probabilities = torch::softmax(logits, -1);
    const std::tuple<torch::Tensor, torch::Tensor> largest = probabilities.topk(chosen_, -1);
    const std::vector<torch::Tensor> inputs = experts->gate_up_proj.unbind();
    const std::vector<torch::Tensor> outputs = experts->down_proj.unbind();
    const MixedExperts mixed =
        mix_experts(tokens, std::get<1>(largest), std::get<0>(largest), logits.size(1),
                    [&](std::size_t e, const torch::Tensor& own) {
                      const std::vector<torch::Tensor> half = torch::matmul(own, inputs[e].t()).chunk(2, -1);
                      return torch::matmul(torch::silu(half[0]) * half[1], outputs[e].t());
                    });
    last = {.load = mixed.load,
            .logits = logits.detach(),
            .balance_loss = balance_loss(mixed.load, probabilities),
            .z_loss = torch::logsumexp(logits, -1).square().mean()};
    return mixed.sum.view_as(x);
  }

  torch::nn::Linear gate;
  OlmoeExperts experts;
  RouterPass last;  ///< of the latest forward pass

 private:
  std::int64_t chosen_;
};
TORCH_MODULE(OlmoeMixture);

inline constexpr NormOptions olmoe_norm{.eps = 1e-5};

/// A layer of an OLMoE: attention with a norm over the queries of all heads, and one over their keys, and a
/// mixture. No biases.
inline std::shared_ptr<DecoderLayer> olmoe_layer(const ModelShape& shape) {
  return std::make_shared<PreNormLayer<OlmoeMixture>>(
      shape.width, olmoe_norm,
      GroupedAttention{shape,
                       AttentionOptions{.query_key_norm = QueryKeyNorm::all_heads, .norm = olmoe_norm}},
      OlmoeMixture{shape});
}

/// OLMoE-1B-7B's proportions: no grouped queries, experts of half the width; 4 of 16 experts for a token, of
/// the published model's 8 of 64.
inline ModelShape olmoe_shape() {
  return {.width = 96,
          .heads = 4,
          .key_value_heads = 4,
          .head_size = 24,
          .experts = 16,
          .chosen = 4,
          .neurons = 48};
}

/// By the names and formulas of OlmoeForCausalLM. The weight of the z-loss is that of OLMoE, arXiv
/// 2409.02060.
inline std::shared_ptr<LanguageModel> make_olmoe(const ModelShape& shape, std::uint64_t seed) {
  return std::make_shared<Decoder>(
      shape, DecoderOptions{.norm = olmoe_norm, .z_weight = 1e-3},
      [&](std::int64_t) { return olmoe_layer(shape); }, seed);
}

}  // namespace language_model
