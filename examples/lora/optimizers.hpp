// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/group/named_groups.hpp>
#include <symopt/interop/torch.hpp>

#include <torch/torch.h>

#include <array>
#include <cmath>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "adapters.hpp"
#include "pair_stack.hpp"

namespace lora {

/// Rate number k of a ladder with four rates to the decade: 1e-5, 1.8e-5, 3.2e-5, 5.6e-5, 1e-4, ...
inline double rate_number(int k) {
  constexpr std::array mantissas{1.0, 1.8, 3.2, 5.6};
  return mantissas[static_cast<std::size_t>(k % 4)] * std::pow(10, k / 4 - 5);
}

/// A way to train the adapters, by name, with one rate.
struct Method {
  std::string name;
  std::function<std::unique_ptr<torch::optim::Optimizer>(const Adapters& adapters, double rate)> make;
  double rate;                   ///< the best that the search found
  double rate_badly_scaled;      ///< that from the badly scaled start
  int lowest_rate;               ///< number of the lowest rate of the search's grid
  int lowest_rate_badly_scaled;  ///< number of that of the badly scaled start
};

/// torch's AdamW on all entries of up and down.
inline Method adamw() {
  return {.name = "AdamW",
          .make =
              [](const Adapters& adapters, double rate) {
                return std::make_unique<torch::optim::AdamW>(
                    adapters.parameters(),
                    torch::optim::AdamWOptions(rate).betas({0.9, 0.99}).weight_decay(0));
              },
          .rate = rate_number(11),
          .rate_badly_scaled = rate_number(5),
          .lowest_rate = 4,
          .lowest_rate_badly_scaled = 2};
}

/// The polar factor of the momentum of each matrix, up and down alike: what a HiddenMatrix has.
inline Method muon() {
  return {.name = "Muon per block",
          .make =
              [](const Adapters& adapters, double rate) {
                using namespace symopt;
                return std::make_unique<interop::TorchOptimizer>(
                    std::vector{interop::parameter_group<HiddenMatrix>(
                        adapters.parameters(), {.learning_rate = rate, .scale = Scale::match_rms})});
              },
          .rate = rate_number(11),
          .rate_badly_scaled = rate_number(6),
          .lowest_rate = 4,
          .lowest_rate_badly_scaled = 2};
}

/// The update that the gauge of the pair derives.
inline Method lora_pair() {
  return {.name = "LoraPair",
          .make = [](const Adapters& adapters, double rate) -> std::unique_ptr<torch::optim::Optimizer> {
            if (adapters.all().front().up.scalar_type() == torch::kDouble)
              return std::make_unique<PairStack<double>>(adapters, rate);
            return std::make_unique<PairStack<float>>(adapters, rate);
          },
          .rate = rate_number(11),
          .rate_badly_scaled = rate_number(11),
          .lowest_rate = 4,
          .lowest_rate_badly_scaled = 4};
}

/// The columns of the table.
inline std::vector<Method> methods() {
  return {adamw(), muon(), lora_pair()};
}

}  // namespace lora
