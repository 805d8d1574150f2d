// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/error.hpp>
#include <symopt/stack/glob.hpp>

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace symopt { inline namespace SYMOPT_ABI { namespace detail {

/// The patterns of the two tensors of a pair, which differ in one place: "**.lora_B" and "**.lora_A", or
/// "layers.*.q_proj.weight" and "layers.*.k_proj.weight". Two names are a pair where they differ there alone.
/// Errors: Error for patterns that differ in a wildcard, or not at all.
class PairPatterns {
 public:
  PairPatterns(const std::string& a, const std::string& b) {
    std::size_t begin = 0, end = 0;
    const std::size_t shorter = std::min(a.size(), b.size());
    while (begin < shorter && a[begin] == b[begin]) ++begin;
    while (end < shorter - begin && a[a.size() - 1 - end] == b[b.size() - 1 - end]) ++end;
    before_ = a.substr(0, begin);
    after_ = a.substr(a.size() - end);
    in_a_ = a.substr(begin, a.size() - end - begin);
    in_b_ = b.substr(begin, b.size() - end - begin);
    const auto is_literal = [](const std::string& text) {
      return text.find_first_of("*?{},") == std::string::npos;
    };
    require(a != b && is_literal(in_a_) && is_literal(in_b_) && is_balanced(before_), [&] {
      return "the patterns '" + a + "' and '" + b +
             "' of a pair must differ in one place, and not in a wildcard: '**.lora_B' and '**.lora_A', say, "
             "so "
             "that each name has its partner";
    });
  }

  /// The names that are the partner of a name of the first pattern: those with the other text in its place.
  std::vector<std::string> partners_of(const std::string& name) const {
    const Glob before(before_), after(after_);
    std::vector<std::string> names;
    for (std::size_t at = 0; at + in_a_.size() <= name.size(); ++at) {
      if (name.compare(at, in_a_.size(), in_a_) != 0) continue;
      const std::string rest = name.substr(at + in_a_.size());
      if (before.matches(name.substr(0, at)) && after.matches(rest))
        names.push_back(name.substr(0, at) + in_b_ + rest);
    }
    return names;
  }

 private:
  static bool is_balanced(std::string_view text) {
    return std::count(text.begin(), text.end(), '{') == std::count(text.begin(), text.end(), '}');
  }

  std::string before_, after_, in_a_, in_b_;
};

}}}  // namespace symopt::detail
