// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/polar/rational_map.hpp>

#include <functional>
#include <vector>

namespace symopt_test {

/// The map that is nearest to 1: with the number of terms given, the one among all RationalMap for which the
/// largest |map(s) - 1| + rounding / s^2 on [lower, 1] is smallest. Such a map attains that distance at 2
/// terms + 3 points, first below 1 and then in turns (Achieser, "Theory of Approximation", section 33).
/// Remez's exchange: Newton's method makes the distance equal at given points, then the points move to the
/// extremes of the new map, until both stand still.
class BestMap {
 public:
  /// The map for `terms` (1, 2 or 3) and 0 < lower <= 0.05: from 0.05 down by small steps.
  BestMap(int terms, double lower, double rounding = 0);

  /// Goes on to a smaller lower bound, at least half of the present one.
  void move_to(double lower);

  const symopt::polar::RationalMap& map() const { return map_; }
  /// The largest |map(s) - 1| + rounding / s^2.
  double deviation() const { return deviation_; }
  /// Where it is attained.
  const std::vector<double>& extremes() const { return extremes_; }

 private:
  /// One Newton step on the distances at the points; returns how far it moved, relatively.
  double level(const std::vector<double>& points);

  /// The distance that is left at s for the map itself.
  double allowed(double s) const { return deviation_ - rounding_ / (s * s); }

  symopt::polar::RationalMap map_;
  double rounding_;
  double deviation_ = 0;
  std::vector<double> extremes_;
};

/// The ends of [lower, 1] and the local extremes between them of a function, in increasing order.
std::vector<double> extremes_of(const std::function<double(double)>& f, double lower);

}  // namespace symopt_test
