// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/abi.hpp>

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

// The hints of errors about names and patterns that do not fit each other.
namespace symopt { inline namespace SYMOPT_ABI { namespace detail {

/// A name without the words that wrappers of modules put into it: "module.layers.0._orig_mod.up" is
/// "layers.0.up".
inline std::string without_wrappers(std::string_view name) {
  std::string rest;
  for (std::size_t begin = 0; begin <= name.size();) {
    const std::size_t end = std::min(name.find('.', begin), name.size());
    const std::string_view word = name.substr(begin, end - begin);
    if (word != "_orig_mod" && word != "module" && word != "_fsdp_wrapped_module")
      rest.append(rest.empty() ? "" : ".").append(word);
    begin = end + 1;
  }
  return rest;
}

/// A pattern whose stars go on over dots.
inline std::string with_long_stars(std::string_view pattern) {
  std::string longer;
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    longer += pattern[i];
    const bool is_lone =
        pattern[i] == '*' && !pattern.substr(i + 1).starts_with('*') && (i == 0 || pattern[i - 1] != '*');
    if (is_lone) longer += '*';
  }
  return longer;
}

/// The first lines of a list, each after `separator`, and how many more there are.
inline std::string first_lines(const std::vector<std::string>& lines, std::string_view separator,
                               std::size_t most = 20) {
  std::string text;
  for (std::size_t i = 0; i < std::min(most, lines.size()); ++i) text.append(separator).append(lines[i]);
  if (lines.size() > most)
    text.append(separator).append("and ").append(std::to_string(lines.size() - most)).append(" more");
  return text;
}

}}}  // namespace symopt::detail
