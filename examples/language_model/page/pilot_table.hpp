// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <istream>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "experiment_tables.hpp"
#include "markdown_table.hpp"

namespace language_model::page {

/// The rows of one set of a table of pilots, whose first column names the set, without the columns that are
/// empty in all of them; of several seeds also mean and standard deviation.
/// @throws std::runtime_error for a set that the table does not have, and a line with more or fewer entries.
inline std::string pilots(std::istream& table, const std::string& set) {
  const auto entries = [](const std::string& line) {
    MarkdownTable::Cells cells;
    std::istringstream text(line + ',');
    for (std::string cell; std::getline(text, cell, ',');) cells.push_back(cell);
    return cells;
  };
  std::string line;
  std::getline(table, line);
  const MarkdownTable::Cells names = entries(line);
  std::vector<MarkdownTable::Cells> rows;
  while (std::getline(table, line)) {
    const MarkdownTable::Cells row = entries(line);
    if (row.size() != names.size())
      throw std::runtime_error("the table of pilots has a line of another length: " + line);
    if (row.front() == set) rows.push_back(row);
  }
  if (rows.empty()) throw std::runtime_error("there are no pilots '" + set + "'");

  MarkdownTable::Cells head;
  std::vector<std::size_t> shown, seeds;
  for (std::size_t i = 1; i < names.size(); ++i) {
    if (std::ranges::all_of(rows, [i](const auto& row) { return row[i].empty(); })) continue;
    shown.push_back(i);
    head.push_back(names[i]);
    if (names[i].starts_with("seed ")) seeds.push_back(i);
  }
  if (!seeds.empty()) head.emplace_back("mean");
  MarkdownTable result(head);
  for (const MarkdownTable::Cells& row : rows) {
    MarkdownTable::Cells cells;
    for (const std::size_t i : shown) cells.push_back(row[i]);
    std::vector<double> losses;
    for (const std::size_t i : seeds) losses.push_back(std::stod(row[i]));
    if (!seeds.empty()) cells.push_back(mean_and_spread(losses));
    result.add(cells);
  }
  return result.text();
}

}  // namespace language_model::page
