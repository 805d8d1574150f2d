// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/group/random.hpp>

#include <cmath>
#include <vector>

namespace symopt { inline namespace SYMOPT_ABI {

/// An orthogonal n x n matrix from the Haar measure of O(n), by its recursion: the first column is a uniform
/// unit vector u, and behind the reflection that takes the first axis to u comes a matrix from O(n - 1). By
/// plain loops: a general QR would take longer to compile than all else in the groups. Cost 4/3 n^3. Source:
/// Stewart, "The efficient generation of random orthogonal matrices with an application to condition
/// estimators", SIAM J. Numer. Anal. 17 (1980), section 3.
template <class Scalar, RandomEngine Engine>
Matrix<Scalar> haar_orthogonal(Index n, Engine& engine) {
  Matrix<Scalar> q = Matrix<Scalar>::Identity(n, n);
  for (Index k = 1; k <= n; ++k) {
    // v + sign(v_0) |v| e_0 is the normal of the reflection H with H e_0 = -sign(v_0) u, u = v / |v|.
    Matrix<Scalar> normal = gaussian<Scalar>({k, 1}, engine);
    const Scalar length = normal.norm();
    const Scalar sign = normal(0, 0) < Scalar(0) ? Scalar(-1) : Scalar(1);
    const Index begin = n - k;
    if (k == 1) {  // a sign, which nothing may round
      q(begin, begin) = sign;
      continue;
    }
    const Scalar squared = 2 * length * (length + std::abs(normal(0, 0)));
    normal(0, 0) += sign * length;
    for (Index j = begin; j < n; ++j) {
      Scalar along = 0;
      for (Index i = 0; i < k; ++i) along += normal(i, 0) * q(begin + i, j);
      along *= 2 / squared;
      for (Index i = 0; i < k; ++i) {
        Scalar& entry = q(begin + i, j);
        entry = sign * (along * normal(i, 0) - entry);
      }
    }
  }
  return q;
}

namespace detail {

/// The identity with a rotation by `angle` (radians) in the plane of lines i and j.
template <class Scalar>
Matrix<Scalar> plane_rotation(Index n, Index i, Index j, Scalar angle) {
  Matrix<Scalar> q = Matrix<Scalar>::Identity(n, n);
  q(i, i) = q(j, j) = std::cos(angle);
  q(i, j) = -std::sin(angle);
  q(j, i) = std::sin(angle);
  return q;
}

/// The identity with the sign of line i changed.
template <class Scalar>
Matrix<Scalar> reflection(Index n, Index i) {
  Matrix<Scalar> q = Matrix<Scalar>::Identity(n, n);
  q(i, i) = Scalar(-1);
  return q;
}

/// Matrices that generate a dense subgroup of O(n): one radian (no rational part of a turn) in each
/// plane of neighbouring lines, and one reflection.
template <class Scalar>
std::vector<Matrix<Scalar>> orthogonal_generators(Index n) {
  std::vector<Matrix<Scalar>> matrices;
  for (Index i = 0; i + 1 < n; ++i) matrices.push_back(plane_rotation<Scalar>(n, i, i + 1, Scalar(1)));
  if (n > 0) matrices.push_back(reflection<Scalar>(n, 0));
  return matrices;
}

}  // namespace detail

}}  // namespace symopt
