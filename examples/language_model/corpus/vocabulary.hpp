// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <string>
#include <unordered_map>
#include <vector>

namespace language_model {

/// The most frequent tokens of a text, numbered by falling frequency; number 0 stands for all others.
class Vocabulary {
 public:
  static constexpr std::int64_t unknown = 0;

  /// Keeps the `size` - 1 most frequent of `tokens`; ties go to the alphabetically first.
  Vocabulary(std::span<const std::string> tokens, std::int64_t size) : words_{"<unknown>"} {
    std::unordered_map<std::string, std::int64_t> counts;
    for (const std::string& token : tokens) ++counts[token];

    std::vector<std::pair<std::string, std::int64_t>> ranking(counts.begin(), counts.end());
    if (std::ssize(ranking) < size - 1)
      throw std::invalid_argument{"the text has fewer distinct tokens than size"};
    std::ranges::sort(ranking, [](const auto& a, const auto& b) {
      return a.second != b.second ? a.second > b.second : a.first < b.first;
    });

    for (std::int64_t rank = 0; rank < size - 1; ++rank) {
      words_.push_back(ranking[static_cast<std::size_t>(rank)].first);
      ids_.emplace(words_.back(), rank + 1);
    }
  }

  std::int64_t size() const { return std::ssize(words_); }

  std::int64_t id(const std::string& token) const {
    const auto found = ids_.find(token);
    return found == ids_.end() ? unknown : found->second;
  }

  const std::string& word(std::int64_t id) const { return words_.at(static_cast<std::size_t>(id)); }

 private:
  std::vector<std::string> words_;
  std::unordered_map<std::string, std::int64_t> ids_;
};

}  // namespace language_model
