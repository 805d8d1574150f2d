// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "search_table.hpp"
#include "statistics.hpp"

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

  std::size_t count_diverged(double rate) const {
    return static_cast<std::size_t>(
        std::ranges::count_if(by_rate_.at(rate), &SearchedTraining::has_diverged));
  }
  double share_diverged(double rate) const {
    return static_cast<double>(count_diverged(rate)) / static_cast<double>(by_rate_.at(rate).size());
  }

  /// The mean of what is known of that of the trainings at the best rate; NaN where nothing is.
  double mean_at_best(double SearchedTraining::*figure) const { return mean(known(best(), figure)); }

  /// The lowest over all trainings; NaN where nothing is known. That is what a time would be without the
  /// other programs of a machine, and what a state takes.
  double lowest(double SearchedTraining::*figure) const {
    double least = std::numeric_limits<double>::infinity();
    for (const auto& [rate, trainings] : by_rate_)
      for (const double value : known(trainings, figure)) least = std::min(least, value);
    return std::isfinite(least) ? least : std::numeric_limits<double>::quiet_NaN();
  }

  std::vector<double> losses_at_best() const {
    std::vector<double> losses;
    for (const SearchedTraining& training : best()) losses.push_back(training.validation_loss);
    return losses;
  }

  /// The loss of each seed at the rate that is best by the other seeds: the seed has no part in that choice,
  /// as it has at best_rate(). Only seeds that were tried at every rate; empty for fewer than two of them.
  std::map<std::uint64_t, double> losses_by_others_rate() const {
    std::map<std::uint64_t, std::map<double, double>> by_seed;
    for (const auto& [rate, trainings] : by_rate_)
      for (const SearchedTraining& training : trainings)
        by_seed[training.seed][rate] =
            training.has_diverged() ? std::numeric_limits<double>::infinity() : training.validation_loss;
    std::erase_if(by_seed, [&](const auto& seed) { return seed.second.size() < by_rate_.size(); });
    std::map<std::uint64_t, double> losses;
    if (by_seed.size() < 2) return losses;
    for (const auto& [seed, own] : by_seed) {
      const auto sum_of_others = [&, &seed = seed](double rate) {
        double sum = 0;
        for (const auto& [other, by_rate] : by_seed)
          if (other != seed) sum += by_rate.at(rate);
        return sum;
      };
      const auto best = std::ranges::min_element(
          own, {}, [&](const auto& rate_and_loss) { return sum_of_others(rate_and_loss.first); });
      losses[seed] = best->second;
    }
    return losses;
  }

  std::size_t count() const {
    std::size_t sum = 0;
    for (const auto& [rate, trainings] : by_rate_) sum += trainings.size();
    return sum;
  }

 private:
  static std::vector<double> known(const std::vector<SearchedTraining>& trainings,
                                   double SearchedTraining::*figure) {
    std::vector<double> values;
    for (const SearchedTraining& training : trainings)
      if (std::isfinite(training.*figure)) values.push_back(training.*figure);
    return values;
  }
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

  /// @returns null for a side that was not trained.
  const SideSummary* find(const std::string& side) const {
    for (const auto& [name, summary] : sides)
      if (name == side) return &summary;
    return nullptr;
  }
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

/// Likewise, each seed at the rates that are best by the other seeds.
inline std::vector<double> differences_by_others_rate(const SideSummary& side, const SideSummary& reference) {
  const std::map<std::uint64_t, double> own = side.losses_by_others_rate(),
                                        of_reference = reference.losses_by_others_rate();
  std::vector<double> differences;
  for (const auto& [seed, loss] : own)
    if (of_reference.contains(seed)) differences.push_back(loss - of_reference.at(seed));
  return differences;
}

}  // namespace language_model
