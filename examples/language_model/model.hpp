// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <torch/torch.h>

#include <cmath>
#include <cstdint>
#include <vector>

#include "language_model.hpp"
#include "linear.hpp"
#include "mixture.hpp"
#include "model_shape.hpp"
#include "rotation.hpp"

namespace language_model {

struct RmsNormImpl : torch::nn::Module {
  explicit RmsNormImpl(std::int64_t width) : gain{register_parameter("gain", torch::ones({width}))} {}

  torch::Tensor forward(const torch::Tensor& x) const {
    return x * torch::rsqrt(x.square().mean(-1, /*keepdim=*/true) + 1e-6) * gain;
  }

  torch::Tensor gain;
};
TORCH_MODULE(RmsNorm);

struct AttentionImpl : torch::nn::Module {
  explicit AttentionImpl(const ModelShape& shape)
      : query{register_module("query", linear(shape.width, shape.width))},
        key{register_module("key", linear(shape.width, shape.width))},
        value{register_module("value", linear(shape.width, shape.width))},
        output{register_module("output", linear(shape.width, shape.width))},
        heads_{shape.heads},
        rotation_{shape.context, shape.width / shape.heads},
        future_{register_buffer("future", torch::full({shape.context, shape.context}, -INFINITY).triu(1))} {}

  torch::Tensor forward(const torch::Tensor& x) {
    const auto by_head = [&](const torch::Tensor& y) {
      return y.view({y.size(0), y.size(1), heads_, -1}).transpose(1, 2);
    };
    const torch::Tensor q = rotation_(by_head(query(x)));
    const torch::Tensor k = rotation_(by_head(key(x)));
    const double scale = 1 / std::sqrt(static_cast<double>(q.size(-1)));
    const torch::Tensor weights = torch::softmax(torch::matmul(q * scale, k.transpose(-2, -1)) + future_, -1);
    return output(torch::matmul(weights, by_head(value(x))).transpose(1, 2).flatten(2));
  }

  torch::nn::Linear query, key, value, output;

 private:
  std::int64_t heads_;
  Rotation rotation_;
  torch::Tensor future_;  // added to the scores: minus infinity above the diagonal
};
TORCH_MODULE(Attention);

struct SwigluImpl : torch::nn::Module {
  explicit SwigluImpl(const ModelShape& shape)
      : gate{register_module("gate", linear(shape.width, shape.neurons))},
        up{register_module("up", linear(shape.width, shape.neurons))},
        down{register_module("down", linear(shape.neurons, shape.width))} {}

  torch::Tensor forward(const torch::Tensor& x) { return down(torch::silu(gate(x)) * up(x)); }

  torch::nn::Linear gate, up, down;
};
TORCH_MODULE(Swiglu);

struct LayerImpl : torch::nn::Module {
  explicit LayerImpl(const ModelShape& shape)
      : attention_norm{register_module("attention_norm", RmsNorm{shape.width})},
        attention{register_module("attention", Attention{shape})},
        mlp_norm{register_module("mlp_norm", RmsNorm{shape.width})} {
    if (shape.is_dense()) {
      swiglu = register_module("swiglu", Swiglu{shape});
    } else {
      mixture = register_module("mixture", Mixture{shape});
    }
  }

  torch::Tensor forward(torch::Tensor x) {
    x = x + attention(attention_norm(x));
    const torch::Tensor normed = mlp_norm(x);
    return x + (mixture ? mixture(normed) : swiglu(normed));
  }

  RmsNorm attention_norm;
  Attention attention;
  RmsNorm mlp_norm;
  Swiglu swiglu{nullptr};    ///< in a dense model
  Mixture mixture{nullptr};  ///< in the others
};
TORCH_MODULE(Layer);

/// Decoder-only transformer, pre-norm, no biases, input and output embeddings untied.
struct TransformerImpl : LanguageModel {
  /// Draws all weights from `seed`, whatever other threads do.
  TransformerImpl(const ModelShape& shape, std::uint64_t seed)
      : embedding{register_module("embedding", torch::nn::Embedding{shape.vocabulary, shape.width})},
        final_norm{register_module("final_norm", RmsNorm{shape.width})},
        head{register_module("head", linear(shape.width, shape.vocabulary))} {
    const auto list = register_module("layers", torch::nn::ModuleList{});
    for (std::int64_t layer = 0; layer < shape.layers; ++layer) {
      layers.emplace_back(shape);
      list->push_back(layers.back());
    }
    initialize(seed);
  }

  torch::Tensor forward(const torch::Tensor& tokens) override {
    torch::Tensor x = embedding(tokens);
    for (Layer& layer : layers) x = layer(x);
    return head(final_norm(x));
  }

  std::vector<const RouterPass*> routers() const override {
    std::vector<const RouterPass*> passes;
    for (const Layer& layer : layers)
      if (layer->mixture) passes.push_back(&layer->mixture->last);
    return passes;
  }

  torch::Tensor router_loss() const override {
    torch::Tensor sum = torch::zeros({});
    for (const RouterPass* pass : routers()) sum = sum + pass->balance_loss;
    return balance_weight * (sum / static_cast<double>(layers.size()));
  }

  torch::Tensor head_weight() const override { return head->weight; }

  torch::nn::Embedding embedding;
  std::vector<Layer> layers;
  RmsNorm final_norm;
  torch::nn::Linear head;

 private:
  void initialize(std::uint64_t seed) {
    const torch::NoGradGuard no_grad;
    at::Generator generator = at::detail::createCPUGenerator(seed);
    const auto draw = [&](const torch::Tensor& weights, double deviation) {
      weights.normal_(0, deviation, generator);
    };
    const auto fan_in = [&](const torch::Tensor& weights) {
      draw(weights, 1 / std::sqrt(static_cast<double>(weights.size(-1))));
    };

    fan_in(embedding->weight);
    for (Layer& layer : layers) {
      fan_in(layer->attention->query->weight);
      fan_in(layer->attention->key->weight);
      fan_in(layer->attention->value->weight);
      // A layer starts as the identity, so depth does not matter to the first steps.
      layer->attention->output->weight.zero_();
      if (layer->mixture) {
        fan_in(layer->mixture->gate_up);
        layer->mixture->down.zero_();
        fan_in(layer->mixture->router->weight);
        centre(layer->mixture->router->weight);
      } else {
        fan_in(layer->swiglu->gate->weight);
        fan_in(layer->swiglu->up->weight);
        layer->swiglu->down->weight.zero_();
      }
    }
    draw(head->weight, 0.02);
    centre(head->weight);
  }

  /// No probability depends on the mean row. Starting it at zero makes the mean logit its own drift.
  static void centre(torch::Tensor& weights) { weights.sub_(weights.mean(0, /*keepdim=*/true)); }
};
TORCH_MODULE(Transformer);

}  // namespace language_model
