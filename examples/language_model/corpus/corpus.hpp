// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "vocabulary.hpp"

namespace language_model {

using Block = std::vector<std::int64_t>;

/// A text as token numbers, cut into blocks of equal length; every tenth block is held out.
struct Corpus {
  static constexpr std::size_t block_length = 2'000;
  static constexpr std::size_t held_out_every = 10;

  Vocabulary vocabulary;
  std::vector<Block> training;
  std::vector<Block> held_out;
  double unknown_share = 0;  ///< of the tokens of all blocks

  std::size_t training_tokens() const { return training.size() * block_length; }
  std::size_t held_out_tokens() const { return held_out.size() * block_length; }
};

/// Calls `use(block, is_held_out)` for the blocks of `tokens`, without what does not fill the last one.
template <class Use>
void for_each_block(std::span<const std::string> tokens, Use use) {
  for (std::size_t index = 0; index < tokens.size() / Corpus::block_length; ++index)
    use(tokens.subspan(index * Corpus::block_length, Corpus::block_length),
        index % Corpus::held_out_every == Corpus::held_out_every - 1);
}

/// The tokens of the training blocks: what a vocabulary is counted on.
inline std::vector<std::string> training_part(std::span<const std::string> tokens) {
  std::vector<std::string> seen;
  for_each_block(tokens, [&](std::span<const std::string> block, bool is_held_out) {
    if (!is_held_out) seen.insert(seen.end(), block.begin(), block.end());
  });
  return seen;
}

/// Cuts `tokens` into blocks, dropping what does not fill the last one, and numbers them.
inline Corpus make_corpus(std::span<const std::string> tokens, Vocabulary vocabulary) {
  Corpus corpus{.vocabulary = std::move(vocabulary), .training = {}, .held_out = {}};
  std::size_t unknown = 0;
  for_each_block(tokens, [&](std::span<const std::string> block, bool is_held_out) {
    Block ids;
    ids.reserve(Corpus::block_length);
    for (const std::string& token : block) {
      ids.push_back(corpus.vocabulary.id(token));
      unknown += ids.back() == Vocabulary::unknown;
    }
    (is_held_out ? corpus.held_out : corpus.training).push_back(std::move(ids));
  });
  corpus.unknown_share =
      static_cast<double>(unknown) / static_cast<double>(corpus.training_tokens() + corpus.held_out_tokens());
  return corpus;
}

/// With a vocabulary of that size, counted on the training blocks.
inline Corpus make_corpus(std::span<const std::string> tokens, std::int64_t vocabulary_size) {
  return make_corpus(tokens, Vocabulary{training_part(tokens), vocabulary_size});
}

}  // namespace language_model
