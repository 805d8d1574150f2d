// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <string>

// Pages whose tables a program writes, between <!-- table NAME --> and <!-- end of table -->.

/// Errors: std::runtime_error.
inline std::string read_page(const std::filesystem::path& path) {
  std::ifstream file(path);
  if (!file) throw std::runtime_error("cannot read " + path.string());
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

/// The page with all its tables written again, as table(name) says. Errors: std::runtime_error for a table
/// without an end.
std::string with_tables(const std::string& page, const auto& table) {
  const std::string mark = "<!-- table ", close = " -->\n", end = "<!-- end of table -->";
  std::string text;
  std::size_t from = 0;
  for (std::size_t at; (at = page.find(mark, from)) != std::string::npos;) {
    const std::size_t name = at + mark.size(), name_end = page.find(close, name), last = page.find(end, name);
    if (name_end == std::string::npos || last == std::string::npos || page.find(mark, name) < last)
      throw std::runtime_error("a table without an end");
    text += page.substr(from, name_end + close.size() - from) + "\n";
    text += table(page.substr(name, name_end - name)) + "\n";
    from = last;
  }
  return text + page.substr(from);
}
