// SPDX-License-Identifier: Apache-2.0
// The inverse root of second moments against an eigendecomposition in double.
#include "support/inputs.hpp"

#include <symopt/polar/inverse_root.hpp>

#include <doctest/doctest.h>

#include <Eigen/QR>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

namespace inverse_root_test { namespace {

using namespace symopt;
using namespace symopt_test;

Matrix<double> orthogonal(Index size, Random& random) {
  return Eigen::HouseholderQR<Matrix<double>>(gaussian_block({size, size}, random)).householderQ() *
         Matrix<double>::Identity(size, size);
}

/// The inverse root of the matrix whose lower triangle is that of `a`; above it there is something else.
template <class Scalar>
Matrix<double> root_of(const Matrix<double>& a) {
  polar::InverseRootWorkspace<Scalar> workspace({a.rows(), 2 * a.rows()}, Side::left);
  MatrixRef<Scalar> matrix = workspace.matrix();
  matrix.setConstant(17);
  for (Index i = 0; i < a.rows(); ++i)
    for (Index j = 0; j <= i; ++j) matrix(i, j) = static_cast<Scalar>(a(i, j));
  polar::inverse_root<Scalar>(workspace);
  return workspace.matrix().template cast<double>();
}

struct Band {
  double least = infinity, most = 0;  ///< of sqrt(x) F(x) for x >= 1e-6 of the trace
  double most_below = 0;              ///< for the others
  double most_root = 0;               ///< of F sqrt(trace)
  double off_diagonal = 0;            ///< of F in the eigenbasis, relative
};

/// For a matrix with that spectrum in a random basis.
template <class Scalar>
Band band_of(const std::vector<double>& spectrum, double scale = 1) {
  Random random(default_seed);
  const Index size = static_cast<Index>(spectrum.size());
  const Matrix<double> q = orthogonal(size, random);
  const Eigen::VectorXd x = scale * Eigen::Map<const Eigen::VectorXd>(spectrum.data(), size);
  const Matrix<double> root = q.transpose() * root_of<Scalar>(q * x.asDiagonal() * q.transpose()) * q;
  Band band;
  for (Index i = 0; i < size; ++i) {
    const double ratio = root(i, i) * std::sqrt(x(i));
    if (x(i) >= 1e-6 * x.sum()) {
      band.least = std::min(band.least, ratio);
      band.most = std::max(band.most, ratio);
    } else {
      band.most_below = std::max(band.most_below, ratio);
    }
    band.most_root = std::max(band.most_root, root(i, i) * std::sqrt(x.sum()));
  }
  band.off_diagonal =
      (root - Matrix<double>(root.diagonal().asDiagonal())).norm() / std::max(root.norm(), 1e-300);
  return band;
}

std::vector<std::vector<double>> spectra() {
  std::vector<std::vector<double>> all;
  for (const Index size : {2, 3, 7, 24, 64, 130})
    for (const double condition : {1.0, 1e2, 1e5, 1e9, 1e14}) all.push_back(log_spaced(size, condition));
  all.push_back({1, 0, 0, 0});
  all.push_back({1, 1, 1e-7, 1e-10, 0, 0});
  std::vector<double> one_large(40, 1e-6);
  one_large[3] = 1;
  all.push_back(one_large);
  return all;
}

TEST_CASE("the inverse root lies in its band, and is smaller than exact for small eigenvalues") {
  CAPTURE(default_seed);
  for (const std::vector<double>& spectrum : spectra()) {
    CAPTURE(spectrum.size());
    CAPTURE(spectrum.back());
    const Band wide = band_of<double>(spectrum);
    CHECK(wide.least >= 1 - 0.044);
    CHECK(wide.most <= 1 + 0.044);
    CHECK(wide.most_below <= 1 + 0.044);
    CHECK(wide.most_root <= 2140);
    CHECK(wide.off_diagonal <= 1e-9);
    const Band narrow = band_of<float>(spectrum);
    CHECK(narrow.least >= 1 - 0.06);
    CHECK(narrow.most <= 1 + 0.06);
    CHECK(narrow.most_below <= 1 + 0.06);
    CHECK(narrow.most_root <= 2200);
  }
}

TEST_CASE("and so in other units, a number exactly, and zero and what is not finite as they are") {
  for (const double scale : {1e-12, 1e12}) {
    const Band band = band_of<float>(log_spaced(24, 1e5), scale);
    CHECK(band.least >= 1 - 0.06);
    CHECK(band.most <= 1 + 0.06);
  }
  CHECK(root_of<double>(Matrix<double>{{16}})(0, 0) == 0.25);
  CHECK(root_of<float>(Matrix<double>{{0}})(0, 0) == 0);
  CHECK(root_of<double>(Matrix<double>::Zero(5, 5)).isZero(0));
  Matrix<double> bad = Matrix<double>::Identity(5, 5);
  bad(3, 1) = std::nan("");
  CHECK(std::isnan(root_of<double>(bad)(0, 0)));
  bad(3, 1) = 0, bad(2, 2) = infinity;
  CHECK(std::isnan(root_of<double>(bad)(0, 0)));
}

TEST_CASE("a root is symmetric to the bit, and defined where rounding made an eigenvalue negative") {
  Random random(default_seed);
  const Matrix<double> x = gaussian_block({20, 3}, random);
  Matrix<double> a = x * x.transpose();
  a -= 1e-7 * a.trace() * Matrix<double>::Identity(20, 20);
  const Matrix<double> root = root_of<float>(a);
  CHECK(root.allFinite());
  CHECK(root == root.transpose());
  CHECK(root.norm() <= 2200 * std::sqrt(20.0 / a.trace()));
}

}}  // namespace inverse_root_test
