// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <functional>
#include <string>

#include "adapters.hpp"

namespace lora {

/// A way to start the pairs, by name.
struct Start {
  std::string name;
  std::function<void(Adapters&)> prepare;
};

/// LoRA's: up is zero, and down has a variance of 1 / in.
inline Start usual_start() {
  return {"usual", [](Adapters&) {}};
}

/// The usual start with down times 30 and up, which is zero, over 30: another way to write the same model.
inline Start badly_scaled_start() {
  return {"down times 30",
          [](Adapters& adapters) { adapters.change_gauge(30 * torch::eye(Adapters::rank, torch::kDouble)); }};
}

/// A pair whose product is not zero.
inline Start non_zero_start(std::uint64_t seed) {
  return {"product not zero", [=](Adapters& adapters) { adapters.draw_up(0.02, seed); }};
}

/// The product of non_zero_start(seed), its pair written in another basis: by an invertible matrix that is
/// drawn, far from orthogonal and no multiple of one.
inline Start turned_start(std::uint64_t seed) {
  return {"the same, turned", [=](Adapters& adapters) {
            at::Generator generator = at::detail::createCPUGenerator(seed + 1);
            const torch::Tensor g = torch::empty({Adapters::rank, Adapters::rank}, torch::kDouble);
            adapters.draw_up(0.02, seed);
            adapters.change_gauge(g.normal_(0, 1, generator));
          }};
}

}  // namespace lora
