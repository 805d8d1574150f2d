// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <tuple>
#include <vector>

#include "model_shape.hpp"

namespace language_model {

/// The routing of one forward pass of a mixture.
struct RouterPass {
  torch::Tensor load;          ///< [experts], tokens that chose each of them
  torch::Tensor logits;        ///< [tokens, experts], without their history
  torch::Tensor balance_loss;  ///< 1 when the load is even, more when it is not; differentiable
};

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
    const std::int64_t count = logits.size(1);

    const std::vector<torch::Tensor> inputs = gate_up.unbind();
    const std::vector<torch::Tensor> outputs = down.unbind();
    torch::Tensor sum = torch::zeros_like(tokens);
    std::vector<std::int64_t> load;
    for (std::int64_t expert = 0; expert < count; ++expert) {
      const torch::Tensor own =
          (experts == expert).nonzero();  // [its tokens, (token, place among the chosen)]
      load.push_back(own.size(0));
      if (own.size(0) == 0) continue;
      const torch::Tensor token = own.select(1, 0);
      const torch::Tensor share = shares.index({token, own.select(1, 1)});
      const auto e = static_cast<std::size_t>(expert);
      const std::vector<torch::Tensor> half =
          torch::matmul(tokens.index_select(0, token), inputs[e].t()).chunk(2, -1);
      const torch::Tensor result = torch::matmul(torch::silu(half[0]) * half[1], outputs[e].t());
      sum = sum.index_add(0, token, result * share.unsqueeze(1));
    }

    last.load = torch::tensor(load, torch::kFloat).to(logits.device());
    last.logits = logits.detach();
    // Source: Fedus et al., "Switch Transformers", arXiv 2101.03961, equation 4. It sees probabilities only,
    // so the shared shift of the router's rows stays a symmetry of the loss.
    last.balance_loss =
        static_cast<double>(count) * (last.load / last.load.sum() * probabilities.mean(0)).sum();
    return sum.view_as(x);
  }

  torch::nn::Linear router;
  torch::Tensor gate_up, down;
  RouterPass last;  ///< of the latest forward pass

 private:
  std::int64_t chosen_;
};
TORCH_MODULE(Mixture);

}  // namespace language_model
