// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdio>
#include <memory>
#include <stdexcept>
#include <string>

namespace language_model {

/// The King James text as one string, verse after verse, without the references in front of them.
///
/// Asks the `bible` program for it (Debian packages bible-kjv and bible-kjv-text).
/// @throws std::runtime_error when the program is missing or prints less than the whole text.
inline std::string read_king_james() {
  struct ClosePipe {
    void operator()(std::FILE* stream) const { ::pclose(stream); }
  };
  // Without the redirection of its input the program would start its interactive mode.
  const std::unique_ptr<std::FILE, ClosePipe> pipe{
      ::popen("bible -f gen1:1-rev22:21 </dev/null 2>/dev/null", "r")};

  std::string output;
  if (pipe) {
    std::array<char, 1 << 16> buffer;
    while (const std::size_t count = std::fread(buffer.data(), 1, buffer.size(), pipe.get())) {
      output.append(buffer.data(), count);
    }
  }

  constexpr int verses_expected = 31'102;
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
  if (verses != verses_expected) {
    throw std::runtime_error{"the command `bible -f gen1:1-rev22:21` printed " + std::to_string(verses) +
                             " verses instead of " + std::to_string(verses_expected) +
                             "; install its packages: apt-get install bible-kjv bible-kjv-text"};
  }
  return text;
}

}  // namespace language_model
