// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <torch/torch.h>

#include <cstdint>

namespace language_model {

inline torch::nn::Linear linear(std::int64_t in, std::int64_t out, bool has_bias = false) {
  return torch::nn::Linear{torch::nn::LinearOptions(in, out).bias(has_bias)};
}

}  // namespace language_model
