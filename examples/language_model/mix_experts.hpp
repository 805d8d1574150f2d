// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <vector>

namespace language_model {

/// The output of a mixture of experts for some tokens.
struct MixedExperts {
  torch::Tensor sum;   ///< [tokens, width]
  torch::Tensor load;  ///< [experts], tokens that chose each of them
};

/// The outputs of the chosen experts, added up with their shares. `chosen` and `shares` are [tokens,
/// choices], and `expert(e, own)` is the output of expert e for its own tokens [own, width].
template <class Expert>
MixedExperts mix_experts(const torch::Tensor& tokens, const torch::Tensor& chosen,
                         const torch::Tensor& shares, std::int64_t experts, const Expert& expert) {
  torch::Tensor sum = torch::zeros_like(tokens);
  std::vector<std::int64_t> load;
  for (std::int64_t e = 0; e < experts; ++e) {
    const torch::Tensor own = (chosen == e).nonzero();  // [its tokens, (token, place among the chosen)]
    load.push_back(own.size(0));
    if (own.size(0) == 0) continue;
    const torch::Tensor token = own.select(1, 0);
    const torch::Tensor share = shares.index({token, own.select(1, 1)});
    const torch::Tensor result = expert(static_cast<std::size_t>(e), tokens.index_select(0, token));
    sum = sum.index_add(0, token, result * share.unsqueeze(1));
  }
  return {.sum = sum, .load = torch::tensor(load, torch::kFloat).to(tokens.device())};
}

/// 1 when the load is even, more when it is not. Source: Fedus et al., "Switch Transformers", arXiv
/// 2101.03961, equation 4. It sees the probabilities [tokens, experts] only, so a shared shift of the
/// router's rows stays a symmetry of the loss.
inline torch::Tensor balance_loss(const torch::Tensor& load, const torch::Tensor& probabilities) {
  return static_cast<double>(load.numel()) * (load / load.sum() * probabilities.mean(0)).sum();
}

}  // namespace language_model
