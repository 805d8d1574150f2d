// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>
#include <cstdint>
#include <iomanip>
#include <ios>
#include <sstream>
#include <string>

namespace language_model {

/// 3.1416 for fixed(3.14159, 4).
inline std::string fixed(double value, int digits) {
  std::ostringstream text;
  text << std::fixed << std::setprecision(digits) << value;
  return text.str();
}

/// 1.2e-08 for scientific(1.234e-8).
inline std::string scientific(double value) {
  std::ostringstream text;
  text << std::scientific << std::setprecision(1) << value;
  return text.str();
}

/// Like fixed(); "-" for what is no number.
inline std::string or_dash(double value, int digits) {
  return std::isfinite(value) ? fixed(value, digits) : std::string("-");
}

/// 0.0015 for rate_text(1.5e-3), as a table of trainings has it.
inline std::string rate_text(double rate) {
  std::ostringstream text;
  text << rate;
  return text.str();
}

/// 12,345 for grouped(12345).
inline std::string grouped(std::int64_t count) {
  std::string text = std::to_string(count);
  for (auto place = std::ssize(text) - 3; place > (count < 0 ? 1 : 0); place -= 3) {
    text.insert(static_cast<std::size_t>(place), 1, ',');
  }
  return text;
}

/// 1:05 for minutes(65).
inline std::string minutes(double seconds) {
  const auto whole = static_cast<std::int64_t>(std::lround(seconds));
  const std::string rest = std::to_string(whole % 60);
  return std::to_string(whole / 60) + (rest.size() < 2 ? ":0" : ":") + rest;
}

/// The text in lines of at most 80 columns, broken at blanks; each begins with the indent.
inline std::string wrapped(const std::string& text, const std::string& indent) {
  constexpr std::size_t width = 80;
  std::istringstream words(text);
  std::string result, line = indent;
  for (std::string word; words >> word;) {
    if (line.size() > indent.size() && line.size() + 1 + word.size() > width) {
      result += line + '\n';
      line = indent;
    }
    line += (line.size() > indent.size() ? " " : "") + word;
  }
  return result + line + '\n';
}

}  // namespace language_model
