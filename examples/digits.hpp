// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <zlib.h>
#include <algorithm>
#include <array>
#include <cstdlib>
#include <memory>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

/// One handwritten digit.
struct Digit {
  std::array<float, 64> pixels{};  ///< 8 rows of 8, from 0 for white to 1 for black
  int label = 0;                   ///< 0 to 9
};

/// Digits to train on, and others to test with.
struct Digits {
  std::vector<Digit> training, held_out;
};

/// The 1797 digits of scikit-learn's file digits.csv.gz, of which a fifth is held out, in an order that a
/// seed draws: lines of 64 pixels from 0 to 16 and the label. zlib reads the file, compressed or not.
inline Digits read_digits(const std::string& path) {
  const std::unique_ptr<gzFile_s, int (*)(gzFile)> file(gzopen(path.c_str(), "rb"), gzclose);
  if (!file) throw std::runtime_error("cannot open '" + path + "'");
  std::vector<Digit> digits;
  std::array<char, 1024> line{};
  while (gzgets(file.get(), line.data(), static_cast<int>(line.size())) != nullptr) {
    const char* text = line.data();
    const auto next = [&] {
      char* end = nullptr;
      const float number = std::strtof(text, &end);
      if (end == text) throw std::runtime_error("'" + path + "' is no file of digits");
      text = *end == ',' ? end + 1 : end;
      return number;
    };
    Digit& digit = digits.emplace_back();
    for (float& pixel : digit.pixels) pixel = next() / 16;
    digit.label = static_cast<int>(next());
    if (digit.label < 0 || digit.label > 9) throw std::runtime_error("'" + path + "' is no file of digits");
  }
  if (digits.size() < 1000) throw std::runtime_error("'" + path + "' has too few digits");
  std::shuffle(digits.begin(), digits.end(), std::mt19937(1));
  const auto split = digits.begin() + static_cast<std::ptrdiff_t>(digits.size() / 5);
  return {.training = {split, digits.end()}, .held_out = {digits.begin(), split}};
}
