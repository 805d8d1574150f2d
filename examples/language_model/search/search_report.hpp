// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <iomanip>
#include <ostream>
#include <set>
#include <string>
#include <vector>

#include "../statistics.hpp"
#include "../text.hpp"
#include "search_summary.hpp"
#include "search_table.hpp"

namespace language_model {

namespace detail {

inline constexpr int side_width = 31;

inline void print_cells(std::ostream& out, const std::string& label, const std::vector<std::string>& cells,
                        int width) {
  out << std::left << std::setw(side_width) << label << std::right;
  for (const std::string& cell : cells) out << ' ' << std::setw(width) << cell;
  out << '\n';
}

inline void print_losses(std::ostream& out, const ArchitectureSummary& summary) {
  constexpr int width = 9;
  print_cells(
      out, "at the best rate of each",
      {"rate", "mean", "spread", "state MB", "step ms", "update ms", "entropy", "dead %", "trainings"},
      width);
  for (const auto& named : summary.sides) {
    const SideSummary& side = named.second;
    const std::vector<double> losses = side.losses_at_best();
    print_cells(
        out, named.first,
        {rate_text(side.best_rate()) + (side.is_interior() ? "" : "*"), or_dash(mean(losses), 4),
         or_dash(spread(losses), 4), or_dash(side.lowest(&SearchedTraining::state_bytes) / 1e6, 2),
         or_dash(side.lowest(&SearchedTraining::step_ms), 1),
         or_dash(side.lowest(&SearchedTraining::update_ms), 1),
         or_dash(side.mean_at_best(&SearchedTraining::load_entropy), 3),
         or_dash(100 * side.mean_at_best(&SearchedTraining::dead_share), 1), std::to_string(side.count())},
        width);
  }
  const bool has_edge =
      std::ranges::any_of(summary.sides, [](const auto& side) { return !side.second.is_interior(); });
  if (has_edge) out << "* an end of the rates that were tried\n";
}

inline void print_differences(std::ostream& out, const ArchitectureSummary& summary) {
  constexpr int width = 9;
  const auto& [reference_name, reference] = summary.sides.front();
  print_cells(out, "less " + reference_name + ", by seed", {"mean", "95 % from", "to", "seeds"}, width);
  for (const auto& [name, side] : summary.sides) {
    if (name == reference_name) continue;
    const std::vector<double> differences = paired_differences(side, reference);
    if (differences.empty()) continue;
    const double middle = mean(differences), half = half_interval(differences);
    print_cells(out, name,
                {or_dash(middle, 4), or_dash(middle - half, 4), or_dash(middle + half, 4),
                 std::to_string(differences.size())},
                width);
  }
}

inline void print_diverged(std::ostream& out, const ArchitectureSummary& summary) {
  constexpr int width = 9;
  std::set<double> rates;
  for (const auto& [name, side] : summary.sides)
    for (const auto& [rate, trainings] : side.by_rate()) rates.insert(rate);
  std::vector<std::string> head;
  for (const double rate : rates) head.push_back(rate_text(rate));
  print_cells(out, "diverged, % of trainings at rate", head, width);
  for (const auto& [name, side] : summary.sides) {
    std::vector<std::string> cells;
    for (const double rate : rates)
      cells.push_back(side.by_rate().contains(rate) ? fixed(100 * side.share_diverged(rate), 0)
                                                    : std::string("-"));
    print_cells(out, name, cells, width);
  }
}

}  // namespace detail

/// Tables of all trainings, for every architecture: losses and routers at each side's best rate, the shortest
/// times, paired differences from the first side with intervals, and the shares of trainings that diverged.
/// The losses of a best rate are those by which it was chosen, so they are a little too low, for all sides
/// alike.
inline void print_search_report(std::ostream& out, const std::vector<SearchedTraining>& trainings) {
  for (const ArchitectureSummary& summary : summaries_of(trainings)) {
    out << summary.architecture << ", " << grouped(summary.steps)
        << " steps: validation loss, nats per token\n";
    detail::print_losses(out, summary);
    out << '\n';
    detail::print_differences(out, summary);
    out << '\n';
    detail::print_diverged(out, summary);
    out << '\n';
  }
}

}  // namespace language_model
