// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <limits>
#include <numbers>
#include <numeric>
#include <vector>

namespace language_model {

/// The mean of several numbers.
inline double mean(const std::vector<double>& values) {
  return std::reduce(values.begin(), values.end()) / static_cast<double>(values.size());
}

/// The standard deviation of several numbers around their mean; NaN of fewer than two.
inline double spread(const std::vector<double>& values) {
  if (values.size() < 2) return std::numeric_limits<double>::quiet_NaN();
  double sum = 0;
  for (const double value : values) sum += (value - mean(values)) * (value - mean(values));
  return std::sqrt(sum / static_cast<double>(values.size() - 1));
}

/// The quantile 0.975 of Student's distribution: from a table below ten degrees of freedom, and from there on
/// by the expansion of Cornish and Fisher, whose error is under 0.003.
inline double student_quantile(std::size_t degrees) {
  constexpr std::array table{12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262};
  if (degrees == 0) return std::numeric_limits<double>::infinity();
  if (degrees <= table.size()) return table[degrees - 1];
  constexpr double z = 1.959964;
  const auto n = static_cast<double>(degrees);
  return z + (std::pow(z, 3) + z) / (4 * n) +
         (5 * std::pow(z, 5) + 16 * std::pow(z, 3) + 3 * z) / (96 * n * n);
}

/// Half the width of the interval that has the mean of such numbers in 95 % of all cases, if they are normal.
inline double half_interval(const std::vector<double>& values) {
  return values.size() < 2 ? std::numeric_limits<double>::infinity()
                           : student_quantile(values.size() - 1) * spread(values) /
                                 std::sqrt(static_cast<double>(values.size()));
}

/// The share of Student's distribution that lies farther from zero than t, on both sides together: by the
/// finite series of Abramowitz and Stegun, Handbook of Mathematical Functions, 26.7.3 and 26.7.4.
inline double student_tails(double t, std::size_t degrees) {
  const double angle = std::atan(std::abs(t) / std::sqrt(static_cast<double>(degrees)));
  const double cosine = std::cos(angle);
  const bool is_odd = degrees % 2 == 1;
  double sum = 0, term = is_odd ? cosine : 1;
  for (std::size_t k = is_odd ? 3 : 2; k <= degrees; k += 2) {
    sum += term;
    term *= static_cast<double>(k - 1) / static_cast<double>(k) * cosine * cosine;
  }
  sum *= std::sin(angle);
  return 1 - (is_odd ? 2 / std::numbers::pi * (angle + sum) : sum);
}

/// The probability that the mean of such numbers is as far from zero as theirs, or farther, if they are
/// normal around zero; 1 where nothing is known of that.
inline double probability_by_chance(const std::vector<double>& values) {
  if (values.size() < 2) return 1;
  const double t = mean(values) / (spread(values) / std::sqrt(static_cast<double>(values.size())));
  return std::isnan(t) ? 1 : student_tails(t, values.size() - 1);
}

/// Which of several findings, of these probabilities, stand at 5 % for all of them together: Holm,
/// Scandinavian Journal of Statistics 6, 1979.
inline std::vector<bool> holm(const std::vector<double>& probabilities) {
  std::vector<std::size_t> order(probabilities.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::sort(order, {}, [&](std::size_t i) { return probabilities[i]; });
  std::vector<bool> stands(probabilities.size(), false);
  for (std::size_t k = 0; k < order.size(); ++k) {
    if (probabilities[order[k]] > 0.05 / static_cast<double>(order.size() - k)) break;
    stands[order[k]] = true;
  }
  return stands;
}

}  // namespace language_model
