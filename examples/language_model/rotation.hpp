// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <vector>

namespace language_model {

/// Rotary position embedding: turns the pair (i, i + size/2) of every head by position * base^(-2i/size).
class Rotation {
 public:
  /// The table of angles is computed in that type.
  Rotation(std::int64_t context, std::int64_t head_size, double base = 10'000,
           torch::Dtype type = torch::kFloat) {
    const torch::Tensor frequency =
        torch::pow(base, torch::arange(0, head_size, 2, type) / -static_cast<double>(head_size));
    const torch::Tensor angle = torch::outer(torch::arange(context, type), frequency);
    cosine_ = angle.cos();
    sine_ = angle.sin();
  }

  /// `x` is [batch, heads, context, head_size].
  torch::Tensor operator()(const torch::Tensor& x) {
    if (cosine_.device() != x.device()) {  // the model has moved
      cosine_ = cosine_.to(x.device());
      sine_ = sine_.to(x.device());
    }
    const std::vector<torch::Tensor> half = x.chunk(2, -1);
    const torch::Tensor cosine = cosine_.to(x.scalar_type()), sine = sine_.to(x.scalar_type());
    return torch::cat({half[0] * cosine - half[1] * sine, half[0] * sine + half[1] * cosine}, -1);
  }

 private:
  torch::Tensor cosine_;
  torch::Tensor sine_;
};

}  // namespace language_model
