// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <torch/torch.h>

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "corpus/batches.hpp"
#include "language_model.hpp"
#include "routers.hpp"

namespace language_model {

/// The mean cross-entropy of the next token, in nats.
inline torch::Tensor next_token_loss(const torch::Tensor& logits, const torch::Tensor& targets) {
  return torch::nn::functional::cross_entropy(logits.flatten(0, 1), targets.flatten());
}

struct Evaluation {
  double loss = 0;              ///< nats per token
  double mean_logit = 0;        ///< over the vocabulary and all positions
  RouterDiagnostics routers{};  ///< all zero in a dense model
};

inline Evaluation evaluate(LanguageModel& model, std::span<const Window> windows) {
  constexpr std::size_t at_once = 32;
  const torch::NoGradGuard no_grad;
  Evaluation sum;
  RouterObserver routers;
  for (std::size_t begin = 0; begin < windows.size(); begin += at_once) {
    const std::size_t count = std::min(at_once, windows.size() - begin);
    const Batch batch = make_batch(windows.subspan(begin, count)).on(model.head_weight().device());
    const torch::Tensor logits = model.forward(batch.inputs);
    sum.loss += static_cast<double>(count) * next_token_loss(logits, batch.targets).item<double>();
    sum.mean_logit += static_cast<double>(count) * logits.mean().item<double>();
    routers.observe(model);
  }
  const auto total = static_cast<double>(windows.size());
  return {.loss = sum.loss / total, .mean_logit = sum.mean_logit / total, .routers = routers.diagnostics()};
}

}  // namespace language_model
