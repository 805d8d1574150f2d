// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <iomanip>
#include <limits>
#include <map>
#include <ostream>
#include <set>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "search_table.hpp"
#include "statistics.hpp"
#include "text.hpp"

namespace language_model {

/// All trainings of one side on one architecture, by their rates.
class SideSummary {
 public:
  void add(const SearchedTraining& training) { by_rate_[training.rate].push_back(training); }

  const std::map<double, std::vector<SearchedTraining>>& by_rate() const { return by_rate_; }

  /// The rate with the lowest mean of the validation losses, of those at which nothing diverged and that were
  /// tried with the most seeds; the lowest rate where there is none.
  double best_rate() const {
    double best = by_rate_.begin()->first, lowest = std::numeric_limits<double>::infinity();
    for (const auto& [rate, trainings] : by_rate_) {
      const bool is_whole = trainings.size() == most_seeds() && share_diverged(rate) == 0;
      if (!is_whole || !(mean_loss(trainings) < lowest)) continue;
      lowest = mean_loss(trainings);
      best = rate;
    }
    return best;
  }
  const std::vector<SearchedTraining>& best() const { return by_rate_.at(best_rate()); }

  /// Tests whether the best rate lies between others that were tried.
  bool is_interior() const {
    return best_rate() != by_rate_.begin()->first && best_rate() != by_rate_.rbegin()->first;
  }

  double share_diverged(double rate) const {
    const auto& trainings = by_rate_.at(rate);
    const auto diverged = std::ranges::count_if(trainings, &SearchedTraining::has_diverged);
    return static_cast<double>(diverged) / static_cast<double>(trainings.size());
  }

  /// Of the trainings at the best rate.
  std::vector<double> figures(double SearchedTraining::*figure) const {
    std::vector<double> values;
    for (const SearchedTraining& training : best()) values.push_back(training.*figure);
    return values;
  }

  std::size_t count() const {
    std::size_t sum = 0;
    for (const auto& [rate, trainings] : by_rate_) sum += trainings.size();
    return sum;
  }

 private:
  static double mean_loss(const std::vector<SearchedTraining>& trainings) {
    std::vector<double> losses;
    for (const SearchedTraining& training : trainings) losses.push_back(training.validation_loss);
    return mean(losses);
  }
  std::size_t most_seeds() const {
    std::size_t most = 0;
    for (const auto& [rate, trainings] : by_rate_) most = std::max(most, trainings.size());
    return most;
  }

  std::map<double, std::vector<SearchedTraining>> by_rate_;
};

/// All trainings of as many steps on one architecture, by sides in the order of the table, AdamW's first; the
/// first side is what the others are compared with.
struct ArchitectureSummary {
  std::string architecture;
  std::int64_t steps = 0;
  std::vector<std::pair<std::string, SideSummary>> sides{};
};

inline std::vector<ArchitectureSummary> summaries_of(const std::vector<SearchedTraining>& trainings) {
  std::vector<ArchitectureSummary> all;
  for (const SearchedTraining& training : trainings) {
    auto summary = std::ranges::find_if(all, [&](const ArchitectureSummary& known) {
      return known.architecture == training.architecture && known.steps == training.steps;
    });
    if (summary == all.end())
      summary = all.insert(all.end(), {.architecture = training.architecture, .steps = training.steps});
    auto side =
        std::ranges::find(summary->sides, training.side, [](const auto& known) { return known.first; });
    if (side == summary->sides.end()) side = summary->sides.insert(side, {training.side, SideSummary{}});
    side->second.add(training);
  }
  for (ArchitectureSummary& summary : all)
    std::stable_partition(summary.sides.begin(), summary.sides.end(),
                          [](const auto& side) { return side.first == "AdamW"; });
  return all;
}

/// The differences of two sides' losses, each at its best rate, for every seed that both have.
inline std::vector<double> paired_differences(const SideSummary& side, const SideSummary& reference) {
  std::vector<double> differences;
  for (const SearchedTraining& training : side.best())
    for (const SearchedTraining& other : reference.best())
      if (training.seed == other.seed)
        differences.push_back(training.validation_loss - other.validation_loss);
  return differences;
}

namespace detail {

inline constexpr int side_width = 31;

inline std::string rate_text(double rate) {
  std::ostringstream text;
  text << rate;
  return text.str();
}
inline std::string or_dash(double value, int digits) {
  return std::isfinite(value) ? fixed(value, digits) : std::string("-");
}
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
    const auto of = [&](double SearchedTraining::*figure) { return mean(side.figures(figure)); };
    const std::vector<double> losses = side.figures(&SearchedTraining::validation_loss);
    print_cells(out, named.first,
                {rate_text(side.best_rate()) + (side.is_interior() ? "" : "*"), or_dash(mean(losses), 4),
                 or_dash(spread(losses), 4), or_dash(of(&SearchedTraining::state_bytes) / 1e6, 2),
                 or_dash(of(&SearchedTraining::step_ms), 1), or_dash(of(&SearchedTraining::update_ms), 1),
                 or_dash(of(&SearchedTraining::load_entropy), 3),
                 or_dash(100 * of(&SearchedTraining::dead_share), 1), std::to_string(side.count())},
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

/// Tables of all trainings, for every architecture: losses, costs and routers at each side's best rate,
/// paired differences from the first side with intervals, and the shares of trainings that diverged. The
/// losses of a best rate are those by which it was chosen, so they are a little too low, for all sides alike.
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
