// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <charconv>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <sstream>
#include <stdexcept>
#include <string>
#include <system_error>
#include <vector>

namespace language_model {

/// One training of a search by what the line of its table begins with.
struct NamedTraining {
  std::string side;
  double rate = 0;
  std::string architecture;  ///< "qwen3"
  std::int64_t width = 1;    ///< 2 for "qwen3 x2"
  std::int64_t steps = 0;
  std::uint64_t seed = 0;
};

/// Of "paper,0.003,qwen3,700,2". @throws std::invalid_argument for another text.
inline NamedTraining named_training(const std::string& text) {
  std::vector<std::string> entries;
  std::istringstream line(text);
  for (std::string entry; std::getline(line, entry, ',');) entries.push_back(entry);
  const auto read = [](const std::string& entry, auto& value) {
    const auto [end, error] = std::from_chars(entry.data(), entry.data() + entry.size(), value);
    return error == std::errc{} && end == entry.data() + entry.size();
  };
  NamedTraining named;
  if (entries.size() != 5 || !read(entries[1], named.rate) || !read(entries[3], named.steps) ||
      !read(entries[4], named.seed) || !(named.rate > 0 && std::isfinite(named.rate)) || named.steps < 20)
    throw std::invalid_argument(
        "--repeat needs rule, rate, architecture, steps and seed, as in 'paper,0.003,qwen3,700,2', not '" +
        text + "'");
  named.side = entries[0];
  named.architecture = entries[2];
  if (const std::size_t mark = entries[2].find(" x");
      mark != std::string::npos && read(entries[2].substr(mark + 2), named.width) && named.width > 1)
    named.architecture.resize(mark);
  return named;
}

}  // namespace language_model
