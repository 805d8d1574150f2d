// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/diagnostics/table_text.hpp>
#include <symopt/stack/numbered_names.hpp>
#include <symopt/stack/state_access.hpp>

#include <cstddef>
#include <cstdio>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

namespace symopt { inline namespace SYMOPT_ABI {

/// The memory that an optimizer keeps for one parameter from step to step: momentum, second moments, counts.
struct StateSize {
  std::string name;          ///< of the parameter
  std::vector<Index> sizes;  ///< of the tensor, as it is stored
  std::string rule;          ///< as in the plan
  std::size_t entries = 0;   ///< of the tensor
  std::size_t bytes = 0;     ///< of the state, as it is saved

  /// Bytes of state for an entry: 4 for a momentum in float, 8 for AdamW.
  double bytes_per_entry() const {
    return entries == 0 ? 0.0 : static_cast<double>(bytes) / static_cast<double>(entries);
  }
};

/// The parameters of an optimizer with the sizes of their states.
class StateSizes {
 public:
  /// Made by state_sizes().
  explicit StateSizes(std::vector<StateSize> rows) : rows_(std::move(rows)) {}

  /// One for each parameter, in the order of adding.
  const std::vector<StateSize>& rows() const& { return rows_; }
  /// The rows of sizes that end with the expression, so that `for (auto& row : state_sizes(stack).rows())`
  /// may be written.
  std::vector<StateSize> rows() && { return std::move(rows_); }
  /// Entries of all parameters together.
  std::size_t entries() const { return total(&StateSize::entries); }
  /// Bytes of all states together.
  std::size_t bytes() const { return total(&StateSize::bytes); }

  /// A table of under 80 columns. Parameters whose names differ only in numbers and that have the same rule
  /// and sizes are one line, with their sums.
  friend std::ostream& operator<<(std::ostream& out, const StateSizes& sizes) {
    struct Line {
      detail::NumberedNames names;
      StateSize sum;
      std::size_t entries;  // of each
    };
    std::vector<Line> lines;
    for (const StateSize& row : sizes.rows_) {
      const detail::NumberedNames name(row.name);
      bool is_new = true;
      for (Line& line : lines) {
        if (line.entries != row.entries || line.sum.rule != row.rule || !line.names.merge(name)) continue;
        line.sum.entries += row.entries;
        line.sum.bytes += row.bytes;
        is_new = false;
        break;
      }
      if (is_new) lines.push_back({name, row, row.entries});
    }
    out << "parameter                     entries  state, bytes per entry  rule\n";
    const auto print = [&](const std::string& name, const StateSize& row) {
      char numbers[80];
      std::snprintf(numbers, sizeof numbers, "%13zu%15zu%10.3g", row.entries, row.bytes,
                    row.bytes_per_entry());
      out << detail::name_cell(name) << numbers << (row.rule.empty() ? "" : "  " + row.rule) << '\n';
    };
    for (const Line& line : lines) print(line.names.text(), line.sum);
    print("all", {.name = "", .sizes = {}, .rule = "", .entries = sizes.entries(), .bytes = sizes.bytes()});
    return out;
  }

 private:
  std::size_t total(std::size_t StateSize::*number) const {
    std::size_t sum = 0;
    for (const StateSize& row : rows_) sum += row.*number;
    return sum;
  }

  std::vector<StateSize> rows_;
};

/// The parameters of a stack, or of an Optimizer or a PairOptimizer, with the sizes of their states. Scratch,
/// which parameters of a stack share, is not among them. Changes nothing. Errors: Error for the state of a
/// rule of your own that does not say what it is made of.
template <class AnyOptimizer>
StateSizes state_sizes(const AnyOptimizer& optimizer) {
  std::vector<StateSize> rows;
  for (const detail::SavedParameter& saved : detail::StateAccess::table(optimizer).parameters) {
    StateSize row{.name = saved.name, .sizes = saved.sizes, .rule = saved.rule, .entries = 1};
    for (const Index size : saved.sizes) row.entries *= static_cast<std::size_t>(size);
    const auto add = [&](const detail::StateField& field) {
      std::size_t bytes = field.scalar_size;
      for (const Index size : field.shape) bytes *= static_cast<std::size_t>(size);
      row.bytes += bytes;
    };
    saved.state->visit({add, false});
    rows.push_back(std::move(row));
  }
  return StateSizes(std::move(rows));
}

}}  // namespace symopt
