// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <torch/torch.h>

#include <cstdint>

namespace language_model {

struct ModelShape {
  std::int64_t vocabulary = 2'048;
  std::int64_t width = 128;
  std::int64_t layers = 4;
  std::int64_t heads = 4;
  std::int64_t experts = 8;    ///< of each layer; 0 for one SwiGLU in its place
  std::int64_t chosen = 2;     ///< experts for each token
  std::int64_t neurons = 176;  ///< of each expert, or of the SwiGLU
  std::int64_t context = 64;   ///< tokens

  bool is_dense() const { return experts == 0; }
};

inline torch::nn::Linear linear(std::int64_t in, std::int64_t out) {
  return torch::nn::Linear{torch::nn::LinearOptions(in, out).bias(false)};
}

}  // namespace language_model
