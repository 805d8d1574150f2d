// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdio>
#include <memory>
#include <stdexcept>
#include <string>

namespace language_model {

/// A part of the text, as the `bible` program names it.
struct Passage {
  const char* reference;
  int verses;
};

inline constexpr Passage whole_bible{"gen1:1-rev22:21", 31'102};
inline constexpr Passage old_testament{"gen1:1-mal4:6", 23'145};
inline constexpr Passage new_testament{"mat1:1-rev22:21", 7'957};

/// The King James text as one string, verse after verse, without the references in front of them.
///
/// Asks the `bible` program for it (Debian packages bible-kjv and bible-kjv-text).
/// @throws std::runtime_error when the program is missing or prints less than the whole passage.
inline std::string read_king_james(const Passage& passage = whole_bible) {
  struct ClosePipe {
    void operator()(std::FILE* stream) const { ::pclose(stream); }
  };
  // Without the redirection of its input the program would start its interactive mode.
  const std::string command = std::string("bible -f ") + passage.reference;
  const std::unique_ptr<std::FILE, ClosePipe> pipe{
      ::popen((command + " </dev/null 2>/dev/null").c_str(), "r")};

  std::string output;
  if (pipe) {
    std::array<char, 1 << 16> buffer;
    while (const std::size_t count = std::fread(buffer.data(), 1, buffer.size(), pipe.get())) {
      output.append(buffer.data(), count);
    }
  }

  int verses = 0;
  std::string text;
  text.reserve(output.size());
  for (std::size_t begin = 0; begin < output.size();) {
    std::size_t end = output.find('\n', begin);
    if (end == std::string::npos) end = output.size();
    const std::size_t space = output.find(' ', begin);  // ends the reference, "Ge1:1 "
    if (space < end) {
      text.append(output, space, end - space);
      ++verses;
    }
    begin = end + 1;
  }
  if (verses != passage.verses) {
    throw std::runtime_error{"the command `" + command + "` printed " + std::to_string(verses) +
                             " verses instead of " + std::to_string(passage.verses) +
                             "; install its packages: apt-get install bible-kjv bible-kjv-text"};
  }
  return text;
}

}  // namespace language_model
