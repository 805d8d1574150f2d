// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/abi.hpp>
#include <symopt/error.hpp>

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace symopt { inline namespace SYMOPT_ABI {

/// A pattern for parameter names, which are words between dots:
///   *      any run of characters inside a word ("layers.*.mlp" has one word for the star)
///   **     any run of characters, dots too
///   ?      one character inside a word, of one or more bytes in UTF-8
///   {a,b}  a or b, which may be patterns: {q,{k,v}}_proj
/// Everything else stands for itself. A pattern without these is an exact name.
/// Errors: std::invalid_argument for a brace without its other half, and for braces with more than 4096
/// choices together.
class Glob {
 public:
  /// A pattern from its text, which converts to it. Errors: std::invalid_argument for a brace without its
  /// other half, and for braces with more than 4096 choices together.
  ///@{
  Glob(std::string pattern) : text_(std::move(pattern)) { expand("", text_); }
  Glob(const char* pattern) : Glob(std::string(pattern)) {}
  ///@}

  /// Tests whether the pattern matches the whole name. Cost: the product of the lengths of pattern and name,
  /// for each choice.
  bool matches(std::string_view name) const {
    for (const std::string& pattern : patterns_)
      if (matches(pattern, name)) return true;
    return false;
  }

  /// Tests whether the pattern has no wildcards, so that only its own text matches.
  bool is_exact() const { return text_.find_first_of("*?{") == std::string::npos; }
  /// The pattern as it was written.
  const std::string& text() const { return text_; }
  /// The pattern with {a,b} written out, one for each choice.
  const std::vector<std::string>& choices() const { return patterns_; }

 private:
  /// Writes {a,b} out: one pattern for each choice.
  void expand(const std::string& before, const std::string& rest) {
    const std::size_t open = rest.find_first_of("{}");
    if (open == std::string::npos) {
      constexpr std::size_t most = 4096;
      if (patterns_.size() == most)
        throw Error("the braces of the pattern '" + text_ + "' make more than " + std::to_string(most) +
                    " patterns; write stars, or several patterns");
      patterns_.push_back(before + rest);
      return;
    }
    std::vector<std::string> choices{""};
    std::size_t depth = 0, i = open;
    for (; i < rest.size(); ++i) {
      const char c = rest[i];
      if (c == '}' && depth <= 1) break;
      depth += c == '{' ? 1 : 0;
      depth -= c == '}' ? 1 : 0;
      if (c == ',' && depth == 1) {
        choices.emplace_back();
      } else if (i != open) {
        choices.back() += c;
      }
    }
    if (depth != 1 || i == rest.size())
      throw Error("the pattern '" + text_ + "' has a brace without its other half");
    for (const std::string& choice : choices)
      expand(before + rest.substr(0, open), choice + rest.substr(i + 1));
  }

  /// All places of the pattern that the name may have come to, kept side by side: no star is tried twice.
  static bool matches(std::string_view pattern, std::string_view name) {
    const std::size_t end = pattern.size();
    std::vector<char> now(end + 1, 0), next(end + 1, 0);
    const auto enter = [&](std::vector<char>& places, std::size_t place) {
      while (!places[place]) {  // from a place that was entered before, all that follow were too
        places[place] = 1;
        if (place == end || pattern[place] != '*') return;
        place +=
            pattern.substr(place).starts_with("**") ? std::size_t{2} : 1;  // a star may stand for nothing
      }
    };
    enter(now, 0);
    for (std::size_t i = 0; i < name.size();) {
      const std::size_t length = character_length(name.substr(i));
      std::fill(next.begin(), next.end(), char(0));
      for (std::size_t place = 0; place < end; ++place) {
        if (!now[place]) continue;
        const char c = pattern[place];
        const bool is_dot = name[i] == '.';
        if (c == '*') {
          const bool crosses_dots = pattern.substr(place).starts_with("**");
          if (crosses_dots || !is_dot) enter(next, place);
        } else if (c == '?') {
          if (!is_dot) enter(next, place + 1);
        } else if (pattern.substr(place, length) == name.substr(i, length)) {
          enter(next, place + length);
        }
      }
      std::swap(now, next);
      i += length;
    }
    return now[end] != 0;
  }

  /// Bytes of the character with which a text in UTF-8 begins; 1 where it is none.
  static std::size_t character_length(std::string_view text) {
    std::size_t length = 1;
    while (length < text.size() && length < 4 && (static_cast<unsigned char>(text[length]) & 0xC0) == 0x80)
      ++length;
    return length;
  }

  std::string text_;
  std::vector<std::string> patterns_;
};

}}  // namespace symopt
