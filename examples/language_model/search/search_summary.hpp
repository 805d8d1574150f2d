// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "../statistics.hpp"
#include "search_table.hpp"

namespace language_model {

/// All trainings of one side on one architecture, by their rates. Rates are compared by the seeds that were
/// tried at every one of them.
class SideSummary {
 public:
  using Trainings = std::vector<SearchedTraining>;

  void add(const SearchedTraining& training) { by_rate_[training.rate].push_back(training); }

  const std::map<double, Trainings>& by_rate() const { return by_rate_; }

  std::set<std::uint64_t> common_seeds() const {
    std::map<std::uint64_t, std::size_t> rates_of_seed;
    for (const auto& [rate, trainings] : by_rate_)
      for (const SearchedTraining& training : trainings) ++rates_of_seed[training.seed];
    std::set<std::uint64_t> seeds;
    for (const auto& [seed, rates] : rates_of_seed)
      if (rates == by_rate_.size()) seeds.insert(seed);
    return seeds;
  }

  /// Tests whether a search has as many rates and seeds as its command trains at least.
  bool is_complete() const { return by_rate_.size() >= 5 && common_seeds().size() >= 3; }

  /// The trainings at a rate, of the common seeds; of all, where no seed is common.
  Trainings compared_at(double rate) const {
    const std::set<std::uint64_t> seeds = common_seeds();
    Trainings trainings = by_rate_.at(rate);
    if (!seeds.empty())
      std::erase_if(trainings, [&](const SearchedTraining& one) { return !seeds.contains(one.seed); });
    return trainings;
  }

  /// The trainings at one rate alone, of all seeds; none where it was not tried.
  SideSummary only_at(double rate) const {
    SideSummary side;
    if (const auto tried = by_rate_.find(rate); tried != by_rate_.end()) side.by_rate_.insert(*tried);
    return side;
  }

  /// The rate with the lowest mean of the validation losses, of those at which nothing diverged; the lowest
  /// rate where there is none.
  double best_rate() const {
    double best = by_rate_.begin()->first, lowest = std::numeric_limits<double>::infinity();
    for (const auto& [rate, trainings] : by_rate_) {
      if (count_diverged(rate) > 0 || !(mean(losses_at(rate)) < lowest)) continue;
      lowest = mean(losses_at(rate));
      best = rate;
    }
    return best;
  }
  Trainings best() const { return compared_at(best_rate()); }

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

  /// NaN for a training that diverged.
  std::vector<double> losses_at(double rate) const {
    std::vector<double> losses;
    for (const SearchedTraining& training : compared_at(rate)) losses.push_back(loss_of(training));
    return losses;
  }
  std::vector<double> losses_at_best() const { return losses_at(best_rate()); }

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

  /// The shortest time of an update; NaN where fewer than five trainings were timed, of which others of the
  /// machine may have slowed all.
  double shortest_update_ms() const {
    std::size_t timed = 0;
    for (const auto& [rate, trainings] : by_rate_)
      timed += known(trainings, &SearchedTraining::update_ms).size();
    return timed < 5 ? std::numeric_limits<double>::quiet_NaN() : lowest(&SearchedTraining::update_ms);
  }

  /// The loss of each common seed at the rate that is best by the others of them: the seed has no part in
  /// that choice, as it has at best_rate(). Infinite where it diverged there; empty for fewer than two seeds.
  std::map<std::uint64_t, double> losses_by_others_rate() const {
    const std::set<std::uint64_t> seeds = common_seeds();
    std::map<std::uint64_t, double> losses;
    if (seeds.size() < 2) return losses;
    for (const std::uint64_t seed : seeds) {
      double least = std::numeric_limits<double>::infinity();
      losses[seed] = least;
      for (const auto& [rate, trainings] : by_rate_) {
        double own = 0, sum_of_others = 0;
        for (const SearchedTraining& training : trainings) {
          const double loss =
              training.has_diverged() ? std::numeric_limits<double>::infinity() : training.validation_loss;
          if (training.seed == seed) own = loss;
          if (training.seed != seed && seeds.contains(training.seed)) sum_of_others += loss;
        }
        if (!(sum_of_others < least)) continue;
        least = sum_of_others;
        losses[seed] = own;
      }
    }
    return losses;
  }

  std::size_t count() const {
    std::size_t sum = 0;
    for (const auto& [rate, trainings] : by_rate_) sum += trainings.size();
    return sum;
  }

 private:
  static double loss_of(const SearchedTraining& training) {
    return training.has_diverged() ? std::numeric_limits<double>::quiet_NaN() : training.validation_loss;
  }
  static std::vector<double> known(const Trainings& trainings, double SearchedTraining::*figure) {
    std::vector<double> values;
    for (const SearchedTraining& training : trainings)
      if (std::isfinite(training.*figure)) values.push_back(training.*figure);
    return values;
  }

  std::map<double, Trainings> by_rate_;
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

/// The differences of two sides' losses, each at its best rate, for every seed that both have; NaN where one
/// diverged.
inline std::vector<double> paired_differences(const SideSummary& side, const SideSummary& reference) {
  std::vector<double> differences;
  for (const SearchedTraining& training : side.best())
    for (const SearchedTraining& other : reference.best())
      if (training.seed == other.seed)
        differences.push_back(training.has_diverged() || other.has_diverged()
                                  ? std::numeric_limits<double>::quiet_NaN()
                                  : training.validation_loss - other.validation_loss);
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
