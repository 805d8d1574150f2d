// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <torch/torch.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

#include "language_model.hpp"

namespace language_model {

/// How the routers of a model spread the tokens, over all its layers.
struct RouterDiagnostics {
  double load_entropy = 0;   ///< of the experts' loads, over its largest value: 1 when all are equally busy
  double dead_fraction = 0;  ///< of the experts, those with less than a hundredth of an even share
  double mean_logit = 0;     ///< over experts, tokens and layers: the softmax does not see it
  double largest_logit = 0;  ///< the largest absolute value
};

/// Adds up what the routers of a model do, batch by batch.
class RouterObserver {
 public:
  /// After a forward pass.
  void observe(const LanguageModel& model) {
    const std::vector<const RouterPass*> passes = model.routers();
    loads_.resize(passes.size());
    for (std::size_t layer = 0; layer < passes.size(); ++layer) {
      const RouterPass& pass = *passes[layer];
      loads_[layer] = loads_[layer].defined() ? loads_[layer] + pass.load : pass.load;
      logit_sum_ += pass.logits.sum(torch::kDouble).item<double>();
      logit_count_ += static_cast<double>(pass.logits.numel());
      largest_logit_ = std::max(largest_logit_, pass.logits.abs().max().item<double>());
    }
  }

  /// All zero where there are no routers.
  RouterDiagnostics diagnostics() const {
    if (loads_.empty()) return {};
    RouterDiagnostics result{.mean_logit = logit_sum_ / logit_count_, .largest_logit = largest_logit_};
    const auto layers = static_cast<double>(loads_.size());
    for (const torch::Tensor& load : loads_) {
      const torch::Tensor share = load / load.sum();
      const auto experts = static_cast<double>(share.numel());
      result.load_entropy -= torch::xlogy(share, share).sum().item<double>() / std::log(experts) / layers;
      result.dead_fraction += (share < 0.01 / experts).to(torch::kDouble).mean().item<double>() / layers;
    }
    return result;
  }

 private:
  std::vector<torch::Tensor> loads_;  // of each layer
  double logit_sum_ = 0;
  double logit_count_ = 0;
  double largest_logit_ = 0;
};

}  // namespace language_model
