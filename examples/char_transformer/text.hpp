// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "../language_model/corpus/king_james.hpp"
#include "model.hpp"

#include <torch/torch.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

namespace char_transformer {

/// The King James text as numbers of characters; its last tenth is held out.
struct Text {
  torch::Tensor training, held_out;
  std::int64_t characters = 0;  ///< that occur

  Text() {
    const std::string text = language_model::read_king_james();
    std::string seen = text;
    std::ranges::sort(seen);
    seen.erase(std::unique(seen.begin(), seen.end()), seen.end());
    characters = std::ssize(seen);
    std::array<std::int64_t, 256> number{};
    for (std::size_t i = 0; i < seen.size(); ++i)
      number[static_cast<unsigned char>(seen[i])] = static_cast<std::int64_t>(i);
    const torch::Tensor all = torch::empty({std::ssize(text)}, torch::kInt64);
    std::ranges::transform(text, all.data_ptr<std::int64_t>(),
                           [&](char c) { return number[static_cast<unsigned char>(c)]; });
    training = all.slice(0, 0, all.size(0) / 10 * 9);
    held_out = all.slice(0, all.size(0) / 10 * 9);
  }
};

/// Sequences of context + 1 characters: [begins, context + 1].
inline torch::Tensor windows(const torch::Tensor& text, const std::vector<std::int64_t>& begins) {
  std::vector<torch::Tensor> rows;
  for (const std::int64_t begin : begins) rows.push_back(text.slice(0, begin, begin + context + 1));
  return torch::stack(rows);
}

/// 16 sequences from anywhere in the training text, a function of the engine's state alone.
inline torch::Tensor next_batch(const Text& text, std::mt19937_64& random) {
  std::vector<std::int64_t> begins(16);
  for (std::int64_t& begin : begins)
    begin = static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(text.training.size(0) - context));
  return windows(text.training, begins);
}

/// The mean cross-entropy of the next character, in nats.
inline torch::Tensor loss_on(Model& model, const torch::Tensor& batch) {
  const torch::Tensor logits = model(batch.slice(1, 0, context));
  return torch::nn::functional::cross_entropy(logits.flatten(0, 1), batch.slice(1, 1).flatten());
}

}  // namespace char_transformer
