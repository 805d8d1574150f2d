// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/diagnostics/logit_statistics.hpp>
#include <symopt/diagnostics/table_text.hpp>

#include <cstdint>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

namespace symopt { inline namespace SYMOPT_ABI {

/// The statistics of a model's heads at one step, to be printed or added to a file:
///   HeadDiagnostics heads(step);
///   heads.add("lm_head", logit_statistics(logits));
///   std::cout << heads;   heads.write_csv(file, is_first);
class HeadDiagnostics {
 public:
  /// The number of the step that the logits belong to.
  explicit HeadDiagnostics(std::int64_t step) : step_(step) {}

  /// Adds one head, by the name that it goes by in table and file.
  void add(std::string name, const LogitStatistics& statistics) {
    rows_.emplace_back(std::move(name), statistics);
  }
  /// Names and statistics, in the order of adding.
  const std::vector<std::pair<std::string, LogitStatistics>>& rows() const { return rows_; }

  /// A table of 80 columns.
  friend std::ostream& operator<<(std::ostream& out, const HeadDiagnostics& diagnostics) {
    out << "heads at step " << diagnostics.step_ << "; c.: centred, less the mean logit of the token\n"
        << "head                          rms   c. rms   c. max      lse   z-loss  entropy\n";
    for (const auto& [name, row] : diagnostics.rows_) {
      out << detail::name_cell(name);
      row.fields([&](const char*, double value) { out << detail::number_cell(value); });
      out << '\n';
    }
    return out;
  }

  /// Comma-separated values, 17 digits. The first line names them unless `with_header` is false: for a file
  /// to which the rows of later steps are added.
  void write_csv(std::ostream& out, bool with_header = true) const {
    detail::write_statistics(out, step_, "head", rows_, with_header);
  }

 private:
  std::int64_t step_;
  std::vector<std::pair<std::string, LogitStatistics>> rows_;
};

}}  // namespace symopt
