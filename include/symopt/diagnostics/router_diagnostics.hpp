// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/diagnostics/router_statistics.hpp>
#include <symopt/diagnostics/table_text.hpp>

#include <cstdint>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

namespace symopt { inline namespace SYMOPT_ABI {

/// The statistics of a model's routers at one step, to be printed or added to a file:
///   RouterDiagnostics routers(step);
///   for each layer: routers.add("layers.0.router", router_statistics(logits, 2));
///   std::cout << routers;   routers.write_csv(file, is_first);
class RouterDiagnostics {
 public:
  /// The number of the step that the logits belong to.
  explicit RouterDiagnostics(std::int64_t step) : step_(step) {}

  /// Adds one router, by the name that it goes by in table and file.
  void add(std::string name, const RouterStatistics& statistics) {
    rows_.emplace_back(std::move(name), statistics);
  }
  /// Names and statistics, in the order of adding.
  const std::vector<std::pair<std::string, RouterStatistics>>& rows() const { return rows_; }

  /// A table of 80 columns, with some of the statistics.
  friend std::ostream& operator<<(std::ostream& out, const RouterDiagnostics& diagnostics) {
    out << "routers at step " << diagnostics.step_ << "; entropy of the load: 1 even, 0 one expert\n"
        << "router                    entropy     dead max load max logit  load cv   z-loss\n";
    for (const auto& [name, row] : diagnostics.rows_)
      out << detail::name_cell(name) << detail::number_cell(row.load_entropy)
          << detail::number_cell(row.dead_fraction) << detail::number_cell(row.largest_load) << ' '
          << detail::number_cell(row.largest_logit) << detail::number_cell(row.load_cv)
          << detail::number_cell(row.logits.z_loss) << '\n';
    return out;
  }

  /// Comma-separated values of all of them, 17 digits. The first line names them unless `with_header` is
  /// false: for a file to which the rows of later steps are added.
  void write_csv(std::ostream& out, bool with_header = true) const {
    detail::write_statistics(out, step_, "router", rows_, with_header);
  }

 private:
  std::int64_t step_;
  std::vector<std::pair<std::string, RouterStatistics>> rows_;
};

}}  // namespace symopt
