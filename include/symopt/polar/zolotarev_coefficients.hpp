// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/polar/rational_map.hpp>

#include <array>
#include <cmath>
#include <numbers>

namespace symopt { inline namespace SYMOPT_ABI { namespace polar {

/// The best odd rational map of type (2r + 1, 2r) for the sign of s on [l, 1] and [-1, -l]. It alternates
/// between 1 - deviation and 1 + deviation on [l, 1], and rises from 0 to it below l. It has no linear part.
struct ZolotarevCoefficients : RationalMap {
  double deviation = 0;  ///< the largest distance from 1 on [l, 1]
};

namespace detail {

/// sn(u K / n)^2 / cn(u K / n)^2 for the parameter 1 - l^2, K its quarter period: by arithmetic-geometric
/// means down and the recurrence of the amplitude up. Source: Abramowitz and Stegun, 16.4.
inline double squared_elliptic_tangent(double l, double u, double n) {
  constexpr int most = 40;
  std::array<double, most> mean{}, difference{};
  double a = 1, b = l;
  int last = 0;
  mean[0] = 1;
  while (last + 1 < most && std::abs(a - b) > 1e-15 * a) {
    const double c = (a - b) / 2;
    const double geometric = std::sqrt(a * b);
    a = (a + b) / 2;
    b = geometric;
    ++last;
    mean[static_cast<std::size_t>(last)] = a;
    difference[static_cast<std::size_t>(last)] = c;
  }
  // The quarter period is pi / (2 a), so the amplitude at the bottom is 2^last a u K / n.
  double amplitude = std::ldexp(std::numbers::pi / 2 * u / n, last);
  for (int i = last; i > 0; --i) {
    const auto k = static_cast<std::size_t>(i);
    amplitude = (amplitude + std::asin(difference[k] / mean[k] * std::sin(amplitude))) / 2;
  }
  const double tangent = std::tan(amplitude);
  return tangent * tangent;
}

}  // namespace detail

/// The coefficients for r terms and the lower bound l, 0 < l < 1.
/// Source: Nakatsukasa and Freund, "Computing fundamental matrix decompositions accurately via the matrix
/// sign function in two iterations", SIAM Review 58, 2016, equations (3.4), (3.5) and (3.8).
inline ZolotarevCoefficients zolotarev_coefficients(int r, double l) {
  ZolotarevCoefficients result;
  result.terms = r;
  result.constant = 1;
  std::array<double, 2 * ZolotarevCoefficients::most_terms + 1> c{};
  for (int i = 1; i <= 2 * r; ++i)
    c[static_cast<std::size_t>(i)] = l * l * detail::squared_elliptic_tangent(l, i, 2 * r + 1);
  for (int j = 1; j <= r; ++j) {
    const double pole = c[static_cast<std::size_t>(2 * j - 1)];
    double numerator = 1, denominator = 1;
    for (int k = 1; k <= r; ++k) {
      numerator *= pole - c[2 * static_cast<std::size_t>(k)];
      if (k != j) denominator *= pole - c[static_cast<std::size_t>(2 * k - 1)];
    }
    result.shift[static_cast<std::size_t>(j - 1)] = pole;
    result.weight[static_cast<std::size_t>(j - 1)] = -numerator / denominator;
  }
  // The lowest of the alternating extremes lies at l, the highest at 1.
  const double lowest = result(l), highest = result(1);
  result.constant = 2 / (lowest + highest);
  for (double& weight : result.weight) weight *= result.constant;
  result.deviation = (highest - lowest) / (highest + lowest);
  return result;
}

}}}  // namespace symopt::polar
