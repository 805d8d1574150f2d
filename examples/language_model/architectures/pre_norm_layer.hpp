// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <utility>

#include "decoder.hpp"
#include "grouped_attention.hpp"
#include "norm.hpp"

namespace language_model {

/// A layer of an attention and an MLP, or a mixture of experts, each behind a norm of its input, by the names
/// that Qwen3, OLMoE and gpt-oss share.
template <class Mlp>
class PreNormLayer final : public DecoderLayer {
 public:
  PreNormLayer(std::int64_t width, const NormOptions& norm, GroupedAttention attention, Mlp mlp)
      : input_layernorm_{register_module("input_layernorm", Norm{width, norm})},
        self_attn_{register_module("self_attn", std::move(attention))},
        post_attention_layernorm_{register_module("post_attention_layernorm", Norm{width, norm})},
        mlp_{register_module("mlp", std::move(mlp))} {}

  torch::Tensor forward(const torch::Tensor& x) override {
    const torch::Tensor y = x + self_attn_(input_layernorm_(x));
    return y + mlp_(post_attention_layernorm_(y));
  }
  const RouterPass* router_pass() const override {
    if constexpr (requires { mlp_->last; }) {
      return &mlp_->last;
    } else {
      return nullptr;
    }
  }

 private:
  Norm input_layernorm_;
  GroupedAttention self_attn_;
  Norm post_attention_layernorm_;
  Mlp mlp_;
};

}  // namespace language_model
