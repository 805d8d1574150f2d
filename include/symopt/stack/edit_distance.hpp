// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/abi.hpp>

#include <algorithm>
#include <cstddef>
#include <string_view>
#include <vector>

namespace symopt { inline namespace SYMOPT_ABI { namespace detail {

/// Levenshtein's distance: the number of characters that must be inserted, deleted or changed to make `a` of
/// `b`.
inline std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = i - 1;
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t substituted = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min(std::min(row[j], row[j - 1]) + 1, substituted);
    }
  }
  return row.back();
}

}}}  // namespace symopt::detail
