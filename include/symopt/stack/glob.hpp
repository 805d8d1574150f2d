// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace symopt {

/// A pattern for parameter names, which are words between dots:
///   *      any run of characters inside a word ("layers.*.mlp" has one word for the star)
///   **     any run of characters, dots too
///   ?      one character inside a word
///   {a,b}  a or b
/// Everything else stands for itself. A pattern without these is an exact name.
class Glob {
 public:
  Glob(std::string pattern) : text_(std::move(pattern)) { expand("", text_); }
  Glob(const char* pattern) : Glob(std::string(pattern)) {}

  bool matches(std::string_view name) const {
    for (const std::string& pattern : patterns_)
      if (matches(pattern, name)) return true;
    return false;
  }

  /// True for a pattern that only its own text matches.
  bool is_exact() const { return text_.find_first_of("*?{") == std::string::npos; }
  const std::string& text() const { return text_; }

 private:
  /// Writes {a,b} out: one pattern for each choice.
  void expand(const std::string& before, std::string_view rest) {
    const std::size_t open = rest.find('{');
    const std::size_t close = rest.find('}', open);
    if (open == std::string_view::npos || close == std::string_view::npos) {
      patterns_.push_back(before + std::string(rest));
      return;
    }
    const std::string_view inside = rest.substr(open + 1, close - open - 1);
    for (std::size_t begin = 0; begin <= inside.size();) {
      const std::size_t end = std::min(inside.find(',', begin), inside.size());
      expand(before + std::string(rest.substr(0, open)) + std::string(inside.substr(begin, end - begin)),
             rest.substr(close + 1));
      begin = end + 1;
    }
  }

  static bool matches(std::string_view pattern, std::string_view name) {
    if (pattern.empty()) return name.empty();
    if (pattern.front() == '*') {
      const bool crosses_dots = pattern.starts_with("**");
      const std::string_view rest = pattern.substr(crosses_dots ? 2 : 1);
      for (std::size_t taken = 0;; ++taken) {
        if (matches(rest, name.substr(taken))) return true;
        if (taken == name.size() || (!crosses_dots && name[taken] == '.')) return false;
      }
    }
    if (name.empty()) return false;
    const bool fits = pattern.front() == name.front() || (pattern.front() == '?' && name.front() != '.');
    return fits && matches(pattern.substr(1), name.substr(1));
  }

  std::string text_;
  std::vector<std::string> patterns_;
};

}  // namespace symopt
