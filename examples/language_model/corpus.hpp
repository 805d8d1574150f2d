// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "vocabulary.hpp"

namespace language_model {

using Block = std::vector<std::int64_t>;

/// A text as token numbers, cut into blocks of equal length; every tenth block is held out.
struct Corpus {
  static constexpr std::size_t block_length = 2'000;
  static constexpr std::size_t held_out_every = 10;

  Vocabulary vocabulary;  ///< counted on the training blocks only
  std::vector<Block> training;
  std::vector<Block> held_out;
  double unknown_share = 0;  ///< of the tokens of all blocks

  std::size_t training_tokens() const { return training.size() * block_length; }
  std::size_t held_out_tokens() const { return held_out.size() * block_length; }
};

/// Cuts `tokens` into blocks, dropping what does not fill the last one.
inline Corpus make_corpus(std::span<const std::string> tokens, std::int64_t vocabulary_size) {
  const std::size_t blocks = tokens.size() / Corpus::block_length;
  const auto block = [&](std::size_t index) {
    return tokens.subspan(index * Corpus::block_length, Corpus::block_length);
  };
  const auto is_held_out = [](std::size_t index) {
    return index % Corpus::held_out_every == Corpus::held_out_every - 1;
  };

  std::vector<std::string> seen;
  for (std::size_t index = 0; index < blocks; ++index) {
    if (!is_held_out(index)) seen.insert(seen.end(), block(index).begin(), block(index).end());
  }

  Corpus corpus{.vocabulary = Vocabulary{seen, vocabulary_size}, .training = {}, .held_out = {}};
  std::size_t unknown = 0;
  for (std::size_t index = 0; index < blocks; ++index) {
    Block ids;
    ids.reserve(Corpus::block_length);
    for (const std::string& token : block(index)) {
      ids.push_back(corpus.vocabulary.id(token));
      unknown += ids.back() == Vocabulary::unknown;
    }
    (is_held_out(index) ? corpus.held_out : corpus.training).push_back(std::move(ids));
  }
  corpus.unknown_share = static_cast<double>(unknown) / static_cast<double>(blocks * Corpus::block_length);
  return corpus;
}

}  // namespace language_model
