// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <torch/torch.h>

#include "../linear.hpp"
#include "../model_shape.hpp"

namespace language_model {

enum class Activation {
  silu,  ///< of a SwiGLU
  gelu   ///< of a GeGLU, by its tanh approximation
};

/// A gated MLP: down (activation(gate x) * up x).
struct GatedMlpImpl : torch::nn::Module {
  GatedMlpImpl(const ModelShape& shape, Activation activation)
      : gate_proj{register_module("gate_proj", linear(shape.width, shape.neurons))},
        up_proj{register_module("up_proj", linear(shape.width, shape.neurons))},
        down_proj{register_module("down_proj", linear(shape.neurons, shape.width))},
        activation_{activation} {}

  torch::Tensor forward(const torch::Tensor& x) {
    const torch::Tensor gate = gate_proj(x);
    return down_proj((activation_ == Activation::silu ? torch::silu(gate) : torch::gelu(gate, "tanh")) *
                     up_proj(x));
  }

  torch::nn::Linear gate_proj, up_proj, down_proj;

 private:
  Activation activation_;
};
TORCH_MODULE(GatedMlp);

}  // namespace language_model
