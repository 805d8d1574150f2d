// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/group/random.hpp>

#include <Eigen/QR>

#include <cmath>
#include <vector>

namespace symopt::inline SYMOPT_ABI {

/// An orthogonal n x n matrix from the Haar measure of O(n): the Q of a Gaussian matrix, with the
/// signs of R's diagonal moved into Q, without which the law would depend on the QR at hand.
/// Cost O(n^3). Source: Mezzadri, "How to generate random matrices from the classical compact
/// groups", Notices of the AMS 54 (2007), section 5.
template <class Scalar, RandomEngine Engine>
Matrix<Scalar> haar_orthogonal(Index n, Engine& engine) {
  const Eigen::HouseholderQR<Matrix<Scalar>> qr(gaussian<Scalar>({n, n}, engine));
  Matrix<Scalar> q = qr.householderQ();
  for (Index j = 0; j < n; ++j)
    if (qr.matrixQR()(j, j) < Scalar(0)) q.col(j) *= Scalar(-1);
  return q;
}

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

}  // namespace symopt
