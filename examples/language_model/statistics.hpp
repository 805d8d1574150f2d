// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cmath>
#include <cstddef>
#include <limits>
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

}  // namespace language_model
