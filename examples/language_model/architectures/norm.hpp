// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <torch/torch.h>

#include <cstdint>

namespace language_model {

struct NormOptions {
  double eps = 1e-6;
  double offset = 0;  ///< added to the gain: 1 in Gemma 3, whose gains start at zero
};

/// A root-mean-square norm over the last dimension, with a gain for each entry.
struct NormImpl : torch::nn::Module {
  NormImpl(std::int64_t width, const NormOptions& options)
      : weight{register_parameter("weight", torch::full({width}, 1 - options.offset))}, options_{options} {}

  torch::Tensor forward(const torch::Tensor& x) const {
    const torch::Tensor normed = x * torch::rsqrt(x.square().mean(-1, /*keepdim=*/true) + options_.eps);
    return normed * (options_.offset == 0 ? weight : weight + options_.offset);
  }

  torch::Tensor weight;

 private:
  NormOptions options_;
};
TORCH_MODULE(Norm);

}  // namespace language_model
