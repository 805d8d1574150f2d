// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <torch/torch.h>

#include <language_model/model.hpp>

#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

namespace lora {

/// LoRA of one matrix of a model, [out, in]: base + scale up down, of which up and down are trained.
/// Source: Hu et al., arXiv 2106.09685.
struct Adapter {
  std::string name;       ///< of the matrix
  torch::Tensor base;     ///< [out, in], frozen
  torch::Tensor up;       ///< [out, rank], zero at the start
  torch::Tensor down;     ///< [rank, in]
  torch::Tensor* weight;  ///< what the model multiplies by
};

/// Adapters of all matrices of a model: attention, SwiGLU, embedding and head. Everything else is frozen.
///
/// merge() writes base + scale up down where the model finds its weight; the gradients come back through it.
class Adapters {
 public:
  static constexpr std::int64_t rank = 8;
  static constexpr double alpha = 16;
  static constexpr double scale = alpha / rank;

  /// Adapts a model that lives as long as they do. Draws `down` from `seed`, with a variance of 1 / in.
  Adapters(language_model::Transformer& model, std::uint64_t seed) {
    for (torch::Tensor& parameter : model->parameters()) parameter.set_requires_grad(false);
    at::Generator generator = at::detail::createCPUGenerator(seed);
    for (const auto& item : model->named_modules()) {
      if (auto* linear = item.value()->as<torch::nn::Linear>()) {
        add(item.key(), linear->weight, generator);
      } else if (auto* embedding = item.value()->as<torch::nn::Embedding>()) {
        add(item.key(), embedding->weight, generator);
      }
    }
  }

  void merge() const {
    for (const Adapter& adapter : all_)
      *adapter.weight = torch::add(adapter.base, torch::matmul(adapter.up, adapter.down), scale);
  }

  /// Writes all pairs in another way: up g^-1 and g down have the product of up and down. g is [rank, rank].
  void change_gauge(const torch::Tensor& g) {
    const torch::NoGradGuard no_grad;
    for (Adapter& adapter : all_) {
      const torch::Tensor like = g.to(adapter.up.dtype());
      adapter.up.copy_(torch::matmul(adapter.up, torch::inverse(like)));
      adapter.down.copy_(torch::matmul(like, adapter.down));
    }
  }

  /// Draws `up`, with that standard deviation, instead of starting at zero.
  void draw_up(double deviation, std::uint64_t seed) {
    const torch::NoGradGuard no_grad;
    at::Generator generator = at::detail::createCPUGenerator(seed);
    for (Adapter& adapter : all_) adapter.up.normal_(0, deviation, generator);
  }

  const std::vector<Adapter>& all() const { return all_; }

  /// The tensors that are trained: up and down of every adapter.
  std::vector<torch::Tensor> parameters() const {
    std::vector<torch::Tensor> tensors;
    for (const Adapter& adapter : all_) {
      tensors.push_back(adapter.up);
      tensors.push_back(adapter.down);
    }
    return tensors;
  }

  std::int64_t parameter_count() const {
    std::int64_t count = 0;
    for (const torch::Tensor& parameter : parameters()) count += parameter.numel();
    return count;
  }

 private:
  void add(const std::string& name, torch::Tensor& weight, at::Generator& generator) {
    const torch::Tensor base = weight;
    const torch::Tensor up = torch::zeros({base.size(0), rank}, base.options());
    const torch::Tensor down = torch::empty({rank, base.size(1)}, base.options());
    down.normal_(0, 1 / std::sqrt(static_cast<double>(base.size(1))), generator);
    all_.push_back({name, base, up.set_requires_grad(true), down.set_requires_grad(true), &weight});
  }

  std::vector<Adapter> all_;
};

}  // namespace lora
