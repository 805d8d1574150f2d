// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <limits>
#include <utility>
#include <vector>

namespace language_model {

/// The rates that are tried for one side, each twice the one before.
class RateGrid {
 public:
  /// A grid of one rate stays as it is.
  explicit RateGrid(std::vector<double> rates = {0.375e-3, 0.75e-3, 1.5e-3, 3e-3, 6e-3})
      : rates_(std::move(rates)) {}

  const std::vector<double>& rates() const { return rates_; }

  /// Adds a rate beyond the end at which the lowest of these losses is, one loss for each rate and NaN where
  /// a training diverged; below all where all did. @returns false where the lowest is between others, or
  /// there are nine rates.
  bool widen(const std::vector<double>& losses) {
    if (rates_.size() < 2 || rates_.size() >= most_rates) return false;
    std::size_t best = 0;
    double lowest = std::numeric_limits<double>::infinity();
    for (std::size_t i = 0; i < rates_.size(); ++i) {
      if (!(losses[i] < lowest)) continue;
      lowest = losses[i];
      best = i;
    }
    if (best == 0) {
      rates_.insert(rates_.begin(), rates_.front() / 2);
    } else if (best + 1 == rates_.size()) {
      rates_.push_back(2 * rates_.back());
    } else {
      return false;
    }
    return true;
  }

 private:
  static constexpr std::size_t most_rates = 9;

  std::vector<double> rates_;
};

}  // namespace language_model
