// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <torch/torch.h>

#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

namespace char_transformer {

constexpr std::int64_t context = 32, layers = 2, head_size = 16;

inline torch::nn::Linear linear(std::int64_t in, std::int64_t out) {
  return torch::nn::Linear(torch::nn::LinearOptions(in, out).bias(false));
}

struct NormImpl : torch::nn::Module {
  explicit NormImpl(std::int64_t width) : gain(register_parameter("gain", torch::ones({width}))) {}
  torch::Tensor forward(const torch::Tensor& x) const {
    return x * torch::rsqrt(x.square().mean(-1, /*keepdim=*/true) + 1e-6) * gain;
  }
  torch::Tensor gain;
};
TORCH_MODULE(Norm);

struct AttentionImpl : torch::nn::Module {
  explicit AttentionImpl(std::int64_t width)
      : query(register_module("query", linear(width, width))),
        key(register_module("key", linear(width, width))),
        value(register_module("value", linear(width, width))),
        output(register_module("output", linear(width, width))) {}

  torch::Tensor forward(const torch::Tensor& x) {
    const auto by_head = [](const torch::Tensor& y) {
      return y.view({y.size(0), context, -1, head_size}).transpose(1, 2);
    };
    const torch::Tensor scores = torch::matmul(by_head(query(x)), by_head(key(x)).transpose(-2, -1));
    const torch::Tensor weights = torch::softmax(scores / std::sqrt(double{head_size}) + future, -1);
    return output(torch::matmul(weights, by_head(value(x))).transpose(1, 2).flatten(2));
  }

  torch::nn::Linear query, key, value, output;
  torch::Tensor future = torch::full({context, context}, -INFINITY).triu(1);
};
TORCH_MODULE(Attention);

struct SwigluImpl : torch::nn::Module {
  explicit SwigluImpl(std::int64_t width)
      : gate(register_module("gate", linear(width, width * 11 / 4))),
        up(register_module("up", linear(width, width * 11 / 4))),
        down(register_module("down", linear(width * 11 / 4, width))) {}
  torch::Tensor forward(const torch::Tensor& x) { return down(torch::silu(gate(x)) * up(x)); }
  torch::nn::Linear gate, up, down;
};
TORCH_MODULE(Swiglu);

struct LayerImpl : torch::nn::Module {
  explicit LayerImpl(std::int64_t width)
      : attention_norm(register_module("attention_norm", Norm(width))),
        attention(register_module("attention", Attention(width))),
        mlp_norm(register_module("mlp_norm", Norm(width))),
        mlp(register_module("mlp", Swiglu(width))) {}
  torch::Tensor forward(torch::Tensor x) {
    x = x + attention(attention_norm(x));
    return x + mlp(mlp_norm(x));
  }
  Norm attention_norm;
  Attention attention;
  Norm mlp_norm;
  Swiglu mlp;
};
TORCH_MODULE(Layer);

/// A decoder of characters, pre-norm, with learned positions and libtorch's own initial weights.
struct ModelImpl : torch::nn::Module {
  ModelImpl(std::int64_t characters, std::int64_t width)
      : embedding(register_module("embedding", torch::nn::Embedding(characters, width))),
        positions(register_module("positions", torch::nn::Embedding(context, width))),
        norm(register_module("norm", Norm(width))),
        head(register_module("head", linear(width, characters))) {
    for (std::int64_t l = 0; l < layers; ++l)
      stack.push_back(register_module("layer" + std::to_string(l), Layer(width)));
  }

  /// The features of characters [sequences, context] after all layers: [sequences, context, width].
  torch::Tensor features(const torch::Tensor& characters) {
    torch::Tensor x = embedding(characters) + positions->weight;
    for (Layer& layer : stack) x = layer(x);
    return x;
  }
  torch::Tensor forward(const torch::Tensor& characters) { return head(norm(features(characters))); }

  torch::nn::Embedding embedding, positions;
  std::vector<Layer> stack;
  Norm norm;
  torch::nn::Linear head;
};
TORCH_MODULE(Model);

}  // namespace char_transformer
