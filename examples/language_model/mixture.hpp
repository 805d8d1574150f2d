// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <vector>

#include "language_model.hpp"
#include "linear.hpp"
#include "mix_experts.hpp"
#include "model_shape.hpp"

namespace language_model {

/// A mixture of SwiGLU experts behind a softmax router. Each token goes to the `chosen` experts with the
/// largest probabilities, which share it in proportion. The matrices of all experts are one tensor: gate
/// above up [experts, 2 neurons, width], and down [experts, width, neurons].
struct MixtureImpl : torch::nn::Module {
  explicit MixtureImpl(const ModelShape& shape)
      : router{register_module("router", linear(shape.width, shape.experts))},
        gate_up{register_parameter("gate_up", torch::empty({shape.experts, 2 * shape.neurons, shape.width}))},
        down{register_parameter("down", torch::empty({shape.experts, shape.width, shape.neurons}))},
        chosen_{shape.chosen} {}

  torch::Tensor forward(const torch::Tensor& x) {
    const torch::Tensor tokens = x.flatten(0, 1);
    const torch::Tensor logits = router(tokens);
    const torch::Tensor probabilities = torch::softmax(logits, -1);
    const auto [largest, experts] = probabilities.topk(chosen_, -1);
    const torch::Tensor shares = largest / largest.sum(-1, /*keepdim=*/true);
    const std::vector<torch::Tensor> inputs = gate_up.unbind();
    const std::vector<torch::Tensor> outputs = down.unbind();
    const MixedExperts mixed =
        mix_experts(tokens, experts, shares, logits.size(1), [&](std::size_t e, const torch::Tensor& own) {
          const std::vector<torch::Tensor> half = torch::matmul(own, inputs[e].t()).chunk(2, -1);
          return torch::matmul(torch::silu(half[0]) * half[1], outputs[e].t());
        });

    last.load = mixed.load;
    last.logits = logits.detach();
    last.balance_loss = balance_loss(mixed.load, probabilities);
    return mixed.sum.view_as(x);
  }

  torch::nn::Linear router;
  torch::Tensor gate_up, down;
  RouterPass last;  ///< of the latest forward pass

 private:
  std::int64_t chosen_;
};
TORCH_MODULE(Mixture);

}  // namespace language_model
