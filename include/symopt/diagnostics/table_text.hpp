// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/abi.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <optional>
#include <ostream>
#include <string>

// Cells of the tables that diagnostics print, and fields of the files that they write.
namespace symopt { inline namespace SYMOPT_ABI { namespace detail {

/// The first column: 24 characters, or a line of its own for a longer name.
inline std::string name_cell(const std::string& name) {
  constexpr std::size_t width = 24;
  return name.size() > width ? name + '\n' + std::string(width, ' ')
                             : name + std::string(width - name.size(), ' ');
}

/// A number in 9 characters, after its mark; "-" where there is none.
inline std::string number_cell(std::optional<double> value, char mark = ' ') {
  char text[32] = "-";
  if (value) std::snprintf(text, sizeof text, "%.2g", *value);
  const std::string marked = (value && mark != ' ' ? std::string(1, mark) : "") + text;
  return std::string(9 - std::min<std::size_t>(9, marked.size()), ' ') + marked;
}

/// The fewest digits that give the same number back, whatever the locale; nothing where there is none.
inline std::string number_field(std::optional<double> value) {
  std::array<char, 32> digits;
  return value ? std::string(digits.begin(), std::to_chars(digits.begin(), digits.end(), *value).ptr) : "";
}

/// A name; one with a comma, a quotation mark or a new line in it between quotation marks.
inline std::string name_field(const std::string& name) {
  if (name.find_first_of(",\"\r\n") == std::string::npos) return name;
  std::string text = "\"";
  for (const char c : name) text += c == '"' ? std::string("\"\"") : std::string(1, c);
  return text + "\"";
}

/// Lines of comma-separated values, one for each of the rows (name, statistics), after a first line that
/// names them where `with_header` says so: the step, the name, and all that statistics.fields(field) shows.
template <class Rows>
void write_statistics(std::ostream& out, std::int64_t step, const char* name_of_column, const Rows& rows,
                      bool with_header) {
  if (with_header) {
    out << "step," << name_of_column;
    typename Rows::value_type::second_type{}.fields([&](const char* field, double) { out << ',' << field; });
    out << '\n';
  }
  for (const auto& [name, statistics] : rows) {
    out << step << ',' << name_field(name);
    statistics.fields([&](const char*, double value) { out << ',' << number_field(value); });
    out << '\n';
  }
}

}}}  // namespace symopt::detail
