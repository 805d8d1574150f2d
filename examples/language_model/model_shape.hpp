// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace language_model {

struct ModelShape {
  std::int64_t vocabulary = 2'048;
  std::int64_t width = 128;
  std::int64_t layers = 4;
  std::int64_t heads = 4;
  std::int64_t key_value_heads = 4;  ///< of grouped queries; the demo's own models have as many as heads
  std::int64_t head_size = 32;       ///< the demo's own models have width / heads
  std::int64_t experts = 8;          ///< of each layer; 0 for one SwiGLU in its place
  std::int64_t chosen = 2;           ///< experts for each token
  std::int64_t neurons = 176;        ///< of each expert, or of the SwiGLU
  std::int64_t context = 64;         ///< tokens
  std::int64_t window = 16;          ///< tokens that local attention sees, where a model has such layers

  bool is_dense() const { return experts == 0; }
};

}  // namespace language_model
