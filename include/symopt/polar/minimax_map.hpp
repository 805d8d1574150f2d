// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/polar/minimax_table.hpp>

#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <tuple>

namespace symopt { inline namespace SYMOPT_ABI { namespace polar {

inline constexpr int minimax_digits = 8;                                 ///< of the numbers in the tables
inline constexpr int minimax_entries = std::tuple_size_v<MinimaxTable>;  ///< of a table

/// The part of the deviation, times s^2, that maps leave to the rounding of a Gram matrix and its inverses:
/// these move s^2 by about 2/3 of a unit of float's roundoff, in units of the norm, and the image of s,
/// relatively, by half of that over s^2.
template <class Scalar>
inline constexpr double minimax_rounding = std::same_as<Scalar, float> ? 4e-8 : 0;

/// The lower end of the interval that an entry of the tables is for.
inline double minimax_lower_bound(int entry) {
  return 1e-3 * std::exp2(entry / 4.0);
}

/// The map with `terms` fractions, 2 or 3, that is nearest to 1 on [lower, 1], from the two entries of the
/// table beside `lower`: interpolated, shifts and weights in their logarithms, so that the map is continuous
/// in `lower`. Its deviation exceeds the least one by at most 2e-4. Bounds outside of the table, which ends
/// with 0.0135, take its ends.
template <class Scalar, int terms>
RationalMap minimax_map(double lower) {
  const MinimaxTable& table = minimax_table<Scalar, terms>;
  const double place = std::clamp(4 * std::log2(1e3 * lower), 0.0, minimax_entries - 1.0);
  const auto entry = std::min(static_cast<std::size_t>(place), table.size() - 2);
  const double part = place - static_cast<double>(entry);
  const RationalMap &a = table[entry], &b = table[entry + 1];
  const auto between = [&](double x, double y) { return x * std::pow(y / x, part); };
  RationalMap map{terms, std::lerp(a.constant, b.constant, part), std::lerp(a.linear, b.linear, part)};
  for (std::size_t j = 0; j < terms; ++j) {
    map.shift[j] = between(a.shift[j], b.shift[j]);
    map.weight[j] = between(a.weight[j], b.weight[j]);
  }
  return map;
}

}}}  // namespace symopt::polar
