// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <memory>
#include <tuple>
#include <vector>

#include "../mix_experts.hpp"
#include "decoder.hpp"
#include "gpt_oss_neurons.hpp"
#include "grouped_attention.hpp"
#include "norm.hpp"
#include "pre_norm_layer.hpp"

namespace language_model {

/// Experts with biases, stored (in, out), gate and up in turn: gate_up_proj [experts, width, 2 neurons] and
/// down_proj [experts, neurons, width].
struct GptOssExpertsImpl : torch::nn::Module {
  explicit GptOssExpertsImpl(const ModelShape& shape)
      : gate_up_proj{matrices("gate_up_proj", {shape.experts, shape.width, 2 * shape.neurons})},
        gate_up_proj_bias{matrices("gate_up_proj_bias", {shape.experts, 2 * shape.neurons})},
        down_proj{matrices("down_proj", {shape.experts, shape.neurons, shape.width})},
        down_proj_bias{matrices("down_proj_bias", {shape.experts, shape.width})} {}

  torch::Tensor gate_up_proj, gate_up_proj_bias, down_proj, down_proj_bias;

 private:
  torch::Tensor matrices(const char* name, at::IntArrayRef sizes) {
    return register_parameter(name, torch::empty(sizes));
  }
};
TORCH_MODULE(GptOssExperts);

/// A router of a gpt-oss, with a bias.
struct GptOssRouterImpl : torch::nn::Module {
  explicit GptOssRouterImpl(const ModelShape& shape)
      : weight{register_parameter("weight", torch::empty({shape.experts, shape.width}))},
        bias{register_parameter("bias", torch::empty({shape.experts}))} {}

  torch::Tensor forward(const torch::Tensor& tokens) const {
    return torch::matmul(tokens, weight.t()) + bias;
  }

  torch::Tensor weight, bias;
};
TORCH_MODULE(GptOssRouter);

/// The largest logits choose the experts; a softmax of these alone makes their shares.
struct GptOssMixtureImpl : torch::nn::Module {
  GptOssMixtureImpl(const ModelShape& shape, const GptOssNeurons& neurons)
      : router{register_module("router", GptOssRouter{shape})},
        experts{register_module("experts", GptOssExperts{shape})},
        chosen_{shape.chosen},
        neurons_{neurons} {}

  torch::Tensor forward(const torch::Tensor& x) {
    const torch::Tensor tokens = x.flatten(0, 1);
    const torch::Tensor logits = router(tokens);
    const std::tuple<torch::Tensor, torch::Tensor> largest = logits.topk(chosen_, -1);
    const std::vector<torch::Tensor> inputs = experts->gate_up_proj.unbind(),
                                     input_biases = experts->gate_up_proj_bias.unbind(),
                                     outputs = experts->down_proj.unbind(),
                                     output_biases = experts->down_proj_bias.unbind();
    const MixedExperts mixed = mix_experts(
        tokens, std::get<1>(largest), torch::softmax(std::get<0>(largest), -1), logits.size(1),
        [&](std::size_t e, const torch::Tensor& own) {
          const torch::Tensor gate_up =
              (torch::matmul(own, inputs[e]) + input_biases[e]).view({own.size(0), -1, 2});
          const torch::Tensor gate = gate_up.select(-1, 0).clamp_max(neurons_.limit);
          const torch::Tensor up = gate_up.select(-1, 1).clamp(-neurons_.limit, neurons_.limit);
          const torch::Tensor neurons = (up + neurons_.offset) * gate * torch::sigmoid(1.702 * gate);
          return torch::matmul(neurons, outputs[e]) + output_biases[e];
        });
    last = {.load = mixed.load,
            .logits = logits.detach(),
            .balance_loss = balance_loss(mixed.load, torch::softmax(logits, -1))};
    return mixed.sum.view_as(x);
  }

  GptOssRouter router;
  GptOssExperts experts;
  RouterPass last;  ///< of the latest forward pass

 private:
  std::int64_t chosen_;
  GptOssNeurons neurons_;
};
TORCH_MODULE(GptOssMixture);

inline constexpr NormOptions gpt_oss_norm{.eps = 1e-5};

/// A layer of a gpt-oss: grouped queries with biases and sinks, and a mixture.
inline std::shared_ptr<DecoderLayer> gpt_oss_layer(const ModelShape& shape, bool is_local,
                                                   const GptOssNeurons& neurons) {
  return std::make_shared<PreNormLayer<GptOssMixture>>(
      shape.width, gpt_oss_norm,
      GroupedAttention{shape, AttentionOptions{.has_biases = true,
                                               .has_sinks = true,
                                               .window = is_local ? shape.window : 0,
                                               .rotary_base = 150'000}},
      GptOssMixture{shape, neurons});
}

/// The proportions of gpt-oss-20b: queries of one and a half times the width, neurons of as many as the
/// width; 2 of 8 experts for a token and 4 query heads for each key-value head, of the published model's 4 of
/// 32 and 8.
inline ModelShape gpt_oss_shape() {
  return {.width = 96,
          .heads = 8,
          .key_value_heads = 2,
          .head_size = 18,
          .experts = 8,
          .chosen = 2,
          .neurons = 96,
          .window = 16};
}

/// By the names and formulas of GptOssForCausalLM, with rotary positions that are not stretched.
inline std::shared_ptr<LanguageModel> make_gpt_oss(const ModelShape& shape, std::uint64_t seed,
                                                   const GptOssNeurons& neurons = {}) {
  return std::make_shared<Decoder>(
      shape, DecoderOptions{.norm = gpt_oss_norm},
      [&](std::int64_t layer) { return gpt_oss_layer(shape, layer % 2 == 0, neurons); }, seed);
}

}  // namespace language_model
