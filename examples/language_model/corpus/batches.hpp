// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <torch/torch.h>

#include <algorithm>
#include <cstdint>
#include <random>
#include <span>
#include <vector>

#include "corpus.hpp"

namespace language_model {

/// Token numbers [sequences, context] and, one place further on, what follows each of them.
struct Batch {
  torch::Tensor inputs;
  torch::Tensor targets;

  Batch on(const torch::Device& device) const { return {inputs.to(device), targets.to(device)}; }
};

/// A run of context + 1 tokens inside one block.
using Window = std::span<const std::int64_t>;

inline std::vector<Window> windows_of(const std::vector<Block>& blocks, std::size_t context,
                                      std::size_t first) {
  std::vector<Window> windows;
  for (const Block& block : blocks) {
    for (std::size_t begin = first; begin + context + 1 <= block.size(); begin += context) {
      windows.push_back(Window{block}.subspan(begin, context + 1));
    }
  }
  return windows;
}

inline Batch make_batch(std::span<const Window> windows) {
  const auto rows = static_cast<std::int64_t>(windows.size());
  const auto length = static_cast<std::int64_t>(windows.front().size());
  const torch::Tensor tokens = torch::empty({rows, length}, torch::kInt64);
  auto* destination = tokens.data_ptr<std::int64_t>();
  for (const Window& window : windows) destination = std::ranges::copy(window, destination).out;
  return {.inputs = tokens.slice(1, 0, length - 1), .targets = tokens.slice(1, 1, length)};
}

/// An endless stream of training batches, a function of the seed alone.
///
/// Every epoch cuts the blocks anew at a random phase and visits the windows in random order.
class BatchStream {
 public:
  BatchStream(const std::vector<Block>& blocks, std::size_t sequences, std::size_t context,
              std::uint64_t seed)
      : blocks_{blocks}, sequences_{sequences}, context_{context}, random_{seed} {}

  Batch next() {
    if (next_ + sequences_ > windows_.size()) start_epoch();
    const std::span<const Window> batch{windows_.data() + next_, sequences_};
    next_ += sequences_;
    return make_batch(batch);
  }

 private:
  void start_epoch() {
    windows_ = windows_of(blocks_, context_, random_() % context_);
    std::ranges::shuffle(windows_, random_);
    next_ = 0;
  }

  const std::vector<Block>& blocks_;
  std::size_t sequences_;
  std::size_t context_;
  std::mt19937_64 random_;
  std::vector<Window> windows_;
  std::size_t next_ = 0;
};

}  // namespace language_model
