// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <torch/torch.h>

#include <cmath>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "../language_model.hpp"
#include "../linear.hpp"
#include "../model_shape.hpp"
#include "norm.hpp"

namespace language_model {

/// A layer of a decoder; adds to the residual stream [batch, context, width].
class DecoderLayer : public torch::nn::Module {
 public:
  virtual torch::Tensor forward(const torch::Tensor& x) = 0;
  /// The routing of the latest forward pass; null in a dense layer.
  virtual const RouterPass* router_pass() const { return nullptr; }
};

struct DecoderOptions {
  bool is_tied = false;        ///< the embedding is also the head
  double embedding_scale = 1;  ///< of the rows that enter the first layer
  NormOptions norm{};          ///< of the norm before the head
  double z_weight = 0;         ///< of the routers' z-loss beside the next token's
};

/// A decoder by the names of Hugging Face's transformers: model.embed_tokens, model.layers.*, model.norm, and
/// lm_head where that is not the embedding.
class Decoder final : public LanguageModel {
 public:
  using LayerFactory = std::function<std::shared_ptr<DecoderLayer>(std::int64_t layer)>;

  /// Draws all weights from `seed`, whatever other threads do.
  Decoder(const ModelShape& shape, const DecoderOptions& options, const LayerFactory& make_layer,
          std::uint64_t seed)
      : options_{options} {
    const auto body = register_module("model", std::make_shared<torch::nn::Module>());
    embed_tokens_ =
        body->register_module("embed_tokens", torch::nn::Embedding{shape.vocabulary, shape.width});
    const auto list = body->register_module("layers", torch::nn::ModuleList{});
    for (std::int64_t layer = 0; layer < shape.layers; ++layer) {
      layers_.push_back(make_layer(layer));
      list->push_back(layers_.back());
    }
    norm_ = body->register_module("norm", Norm{shape.width, options.norm});
    if (!options.is_tied) lm_head_ = register_module("lm_head", linear(shape.width, shape.vocabulary));
    initialize(seed, 1 / std::sqrt(static_cast<double>(shape.width)));
  }

  torch::Tensor forward(const torch::Tensor& tokens) override {
    torch::Tensor x = embed_tokens_(tokens);
    if (options_.embedding_scale != 1) x = x * options_.embedding_scale;
    for (const auto& layer : layers_) x = layer->forward(x);
    return torch::matmul(norm_(x), head_weight().t());
  }

  std::vector<const RouterPass*> routers() const override {
    std::vector<const RouterPass*> passes;
    for (const auto& layer : layers_)
      if (const RouterPass* pass = layer->router_pass()) passes.push_back(pass);
    return passes;
  }

  torch::Tensor router_loss() const override {
    const std::vector<const RouterPass*> passes = routers();
    torch::Tensor sum = torch::zeros({});
    for (const RouterPass* pass : passes) {
      sum = sum + balance_weight * pass->balance_loss;
      if (options_.z_weight != 0) sum = sum + options_.z_weight * pass->z_loss;
    }
    return sum / static_cast<double>(passes.size());
  }

  torch::Tensor head_weight() const override {
    return options_.is_tied ? embed_tokens_->weight : lm_head_->weight;
  }

 private:
  /// Matrices that read from the residual stream keep the size of their input, and those that write to it are
  /// zero, so that a layer starts as the identity. The head and a tied embedding start small; the mean row of
  /// head and routers, which a softmax does not see, at zero.
  void initialize(std::uint64_t seed, double deviation) {
    constexpr double of_head = 0.02;
    const torch::NoGradGuard no_grad;
    at::Generator generator = at::detail::createCPUGenerator(seed);
    for (const auto& item : named_parameters()) {
      const std::string& name = item.key();
      torch::Tensor weights = item.value();
      const auto is = [&](const char* part) { return name.find(part) != std::string::npos; };
      if (is("norm.weight") || is("sinks")) continue;
      if (is("bias") || is("o_proj") || is("down_proj")) {
        weights.zero_();
        continue;
      }
      const bool is_head = weights.is_same(head_weight());
      weights.normal_(0, is_head ? of_head : deviation, generator);
      if ((is_head && !options_.is_tied) || is("mlp.gate.weight") || is("router.weight"))
        weights.sub_(weights.mean(0, /*keepdim=*/true));
    }
  }

  DecoderOptions options_;
  torch::nn::Embedding embed_tokens_{nullptr};
  std::vector<std::shared_ptr<DecoderLayer>> layers_;
  Norm norm_{nullptr};
  torch::nn::Linear lm_head_{nullptr};
};

}  // namespace language_model
