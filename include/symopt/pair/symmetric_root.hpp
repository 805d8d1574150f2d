// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/matrix.hpp>

#include <algorithm>
#include <cmath>

namespace symopt { inline namespace SYMOPT_ABI { namespace detail {

/// root <- (S^+)^(1/2), the inverse root of a positive semidefinite matrix on its range, by Jacobi rotations.
/// A polynomial in S, so it lies in every algebra that contains S. Eigenvalues up to tolerance times the
/// largest count as zero. Returns the rank. Cost: some 30 r^3 flops; for the rare singular case. Source:
/// Golub and Van Loan, Matrix Computations, 4th edition, section 8.5.
template <class Double>
Index symmetric_root_inverse(Matrix<Double> s, double tolerance, Matrix<Double>& root) {
  const Index size = s.rows();
  Matrix<Double> vectors = Matrix<Double>::Identity(size, size);
  constexpr int most_sweeps = 30;
  for (int sweep = 0; sweep < most_sweeps; ++sweep) {
    bool has_turned = false;
    for (Index p = 0; p < size; ++p)
      for (Index q = p + 1; q < size; ++q) {
        if (!(std::abs(s(p, q)) > 1e-17 * std::sqrt(std::abs(s(p, p) * s(q, q))))) continue;
        if (s(p, q) == 0) continue;
        has_turned = true;
        const double ratio = (s(q, q) - s(p, p)) / (2 * s(p, q));
        const double t = (ratio >= 0 ? 1 : -1) / (std::abs(ratio) + std::hypot(1.0, ratio));
        const double c = 1 / std::hypot(1.0, t), sine = t * c;
        const auto turn = [&](double& x, double& y) {
          const double before = x;
          x = c * before - sine * y;
          y = sine * before + c * y;
        };
        for (Index k = 0; k < size; ++k) turn(s(k, p), s(k, q));
        for (Index k = 0; k < size; ++k) turn(s(p, k), s(q, k));
        for (Index k = 0; k < size; ++k) turn(vectors(k, p), vectors(k, q));
      }
    if (!has_turned) break;
  }
  double largest = 0;
  for (Index i = 0; i < size; ++i) largest = std::max(largest, s(i, i));
  root.setZero();
  Index rank = 0;
  for (Index k = 0; k < size; ++k) {
    if (!(s(k, k) > tolerance * largest)) continue;
    ++rank;
    const double value = 1 / std::sqrt(s(k, k));
    for (Index i = 0; i < size; ++i)
      for (Index j = 0; j < size; ++j) root(i, j) += value * vectors(i, k) * vectors(j, k);
  }
  return rank;
}

}}}  // namespace symopt::detail
