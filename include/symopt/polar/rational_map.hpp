// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/abi.hpp>

#include <array>
#include <cstddef>

namespace symopt { inline namespace SYMOPT_ABI { namespace polar {

/// An odd rational map of singular values in partial fractions,
///   s -> s (constant + linear s^2 + sum_j weight[j] / (s^2 + shift[j])).
/// With A = M M^T it maps M to (constant I + linear A + sum_j weight[j] (A + shift[j] I)^-1) M.
struct RationalMap {
  static constexpr int most_terms = 8;  ///< fractions that a map may have

  int terms = 0;                            ///< fractions
  double constant = 0;                      ///< of s
  double linear = 0;                        ///< of s^3
  std::array<double, most_terms> shift{};   ///< of the first `terms` places
  std::array<double, most_terms> weight{};  ///< of the first `terms` places

  /// The map at s.
  constexpr double operator()(double s) const {
    double sum = constant + linear * s * s;
    for (std::size_t j = 0; j < static_cast<std::size_t>(terms); ++j) sum += weight[j] / (s * s + shift[j]);
    return s * sum;
  }
};

}}}  // namespace symopt::polar
