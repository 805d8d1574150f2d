// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace language_model {

/// Splits English text into lower-case words, the ending "'s", and single punctuation marks.
inline std::vector<std::string> tokenize(std::string_view text) {
  // Not the functions of <cctype>: those depend on the locale.
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
  const auto is_letter = [&](char c) { return lower(c) >= 'a' && lower(c) <= 'z'; };
  const auto is_space = [](char c) { return c == ' ' || c == '\n' || c == '\t' || c == '\r'; };

  std::vector<std::string> tokens;
  for (std::size_t i = 0; i < text.size();) {
    if (is_space(text[i])) {
      ++i;
      continue;
    }
    std::string token{lower(text[i++])};
    const bool is_ending = token == "'" && i < text.size() && lower(text[i]) == 's';
    if (is_letter(token[0]) || is_ending) {
      while (i < text.size() && is_letter(text[i])) token += lower(text[i++]);
    }
    tokens.push_back(std::move(token));
  }
  return tokens;
}

}  // namespace language_model
