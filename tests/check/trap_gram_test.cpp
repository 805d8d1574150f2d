// SPDX-License-Identifier: Apache-2.0
// Singular Gram matrices in float.
#include "support/coupled_inverse_root.hpp"
#include "support/reference.hpp"

#include <symopt/symopt.hpp>

#include <doctest/doctest.h>

#include <Eigen/Eigenvalues>

namespace trap_gram_test { namespace {

using namespace symopt;
using namespace symopt_test;
using polar::Exact;

double largest_entry(const auto& block) {
  return static_cast<double>(block.cwiseAbs().maxCoeff());
}

/// The inverse root of the Gram matrix with small eigenvalues clamped, as a liar: noise over the clamp's
/// root.
Matrix<double> clamped_polar(const Matrix<float>& block) {
  const Matrix<float> gram = block * block.transpose();
  const Eigen::SelfAdjointEigenSolver<Matrix<double>> solver(as_double(gram));
  const Eigen::VectorXd root = solver.eigenvalues().cwiseMax(1e-20).cwiseSqrt().cwiseInverse();
  const Matrix<double> rotated = solver.eigenvectors().transpose() * as_double(block);
  return solver.eigenvectors() * (root.asDiagonal() * rotated);
}

TEST_CASE("a centred left Gram matrix is singular, and the noise in its null space is cut, not amplified") {
  CAPTURE(default_seed);
  Random random(default_seed);
  double clamped = 0;
  for (int trial = 0; trial < 20; ++trial) {
    const Matrix<float> m = gaussian_block({16, 64}, random).cast<float>();
    const Matrix<float> mc = HorizontalProjection<Side::left>{}(m);
    const Matrix<double> expected = polar_by_svd(centred(as_double(m), Side::left), 1e-5);
    CHECK(relative_error(as_double(Update<Router, LeftSpectral<Exact>>{}(m)), expected) <= 1e-5);
    CHECK(relative_error(as_double(Update<Router, LeftSpectral<polar::PolarExpress>>{}(m)), expected) <=
          1e-5);
    CHECK(relative_error(as_double(Update<Router, LeftSpectral<>>{}(m)), expected) <= 0.05);
    CHECK(relative_error(as_double(LeftSpectral<>{}(mc)), expected) <= 0.05);
    CHECK(relative_error(as_double(LeftSpectral<Exact>{}(mc)), expected) <= 1e-5);
    CHECK(relative_error(as_double(LeftSpectral<polar::PolarExpress>{}(mc)), expected) <= 3e-3);
    clamped = std::max(clamped, relative_error(clamped_polar(mc), expected));
  }
  CHECK(clamped > 0.5);
}

/// A float block of half the rank.
Matrix<float> half_rank(Random& random) {
  return block_with_spectrum({32, 32}, std::vector<double>(16, 1.0), random).cast<float>();
}

TEST_CASE("a coupled inverse root breaks down on a deficient block in float, the iteration on X does not") {
  CAPTURE(default_seed);
  Random random(default_seed);
  const Matrix<float> block = half_rank(random);
  const Matrix<float> early = Spectral<polar::CoupledPolarExpress>{{.steps = 5}}(block);
  CHECK(singular_values(as_double(early))(0) <= 1.13);
  const Matrix<float> late = Spectral<polar::CoupledPolarExpress>{{.steps = 14}}(block);
  CHECK_FALSE(largest_entry(late) <= 1.5);
  for (int steps = 5; steps <= 20; ++steps) {
    CAPTURE(steps);
    const Matrix<float> result = Spectral<polar::PolarExpress>{{.steps = steps}}(block);
    CHECK(result.allFinite());
    CHECK(singular_values(as_double(result))(0) <= 1.13);
    if (steps >= 8 && steps <= 12)
      CHECK(relative_error(as_double(result), polar_by_svd(as_double(block), 1e-3)) <= 5e-3);
  }
}

}}  // namespace trap_gram_test
