// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/abi.hpp>
#include <symopt/error.hpp>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace symopt { inline namespace SYMOPT_ABI {

/// A pattern for parameter names, which are words between dots:
///   *      any run of characters inside a word ("layers.*.mlp" has one word for the star)
///   **     any run of characters, dots too
///   ?      one character inside a word
///   {a,b}  a or b, which may be patterns: {q,{k,v}}_proj
/// Everything else stands for itself. A pattern without these is an exact name.
/// Errors: std::invalid_argument for a brace without its other half.
class Glob {
 public:
  /// A pattern is what a text converts to. Errors: as above.
  ///@{
  Glob(std::string pattern) : text_(std::move(pattern)) { expand("", text_); }
  Glob(const char* pattern) : Glob(std::string(pattern)) {}
  ///@}

  /// True when the whole name fits. Cost: names and patterns are short; no more than the product of lengths.
  bool matches(std::string_view name) const {
    for (const std::string& pattern : patterns_)
      if (matches(pattern, name)) return true;
    return false;
  }

  /// True for a pattern that only its own text matches.
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

}}  // namespace symopt
