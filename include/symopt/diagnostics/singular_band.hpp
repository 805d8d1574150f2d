// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/error.hpp>
#include <symopt/finite.hpp>
#include <symopt/matrix.hpp>

#include <Eigen/Eigenvalues>

#include <algorithm>
#include <cmath>
#include <random>
#include <string>

namespace symopt { inline namespace SYMOPT_ABI {

/// The band of the singular values of a block, computed or estimated.
struct SingularBand {
  double smallest = 0;      ///< of the min(rows, cols) singular values
  double largest = 0;       ///< of the min(rows, cols) singular values
  double nuclear_norm = 0;  ///< their sum
  bool is_exact = true;     ///< false for an estimate
};

/// The options of finding a singular band.
struct SingularBandOptions {
  Index exact_up_to = 256;  ///< lines of the shorter side up to which all singular values are computed
  int probes = 4;           ///< of an estimate
  int steps = 24;           ///< of each probe
  std::uint64_t seed = 1;   ///< of the probes
};

namespace detail {

/// The eigenvalues and weights of the Gram matrix of `block` (rows <= cols) as `steps` of Lanczos see them
/// from a random start, with full reorthogonalization: Gauss quadrature for the spectral measure of the
/// start. `Real` is double: a parameter, so that the header alone does not compile an eigensolver.
template <class Real>
void lanczos(const Matrix<Real>& block, int steps, std::mt19937_64& random, SingularBand& band) {
  const Index n = block.rows();
  Eigen::MatrixXd basis(n, steps);
  Eigen::VectorXd diagonal = Eigen::VectorXd::Zero(steps), off_diagonal = Eigen::VectorXd::Zero(steps);
  Eigen::VectorXd next(n);
  for (Index i = 0; i < n; ++i) next(i) = (random() & 1) == 0 ? 1.0 : -1.0;
  next.normalize();
  int done = 0;
  for (; done < steps; ++done) {
    basis.col(done) = next;
    const Eigen::VectorXd through = block.transpose() * next;
    next.noalias() = block * through;
    diagonal(done) = basis.col(done).dot(next);
    for (int pass = 0; pass < 2; ++pass)
      next -= basis.leftCols(done + 1) * (basis.leftCols(done + 1).transpose() * next);
    const double length = next.norm();
    if (length <= 1e-12 * std::abs(diagonal(0)) || done + 1 == steps) {
      ++done;
      break;
    }
    off_diagonal(done) = length;
    next /= length;
  }
  Eigen::SelfAdjointEigenSolver<Eigen::MatrixX<Real>> solver;
  solver.computeFromTridiagonal(diagonal.head(done), off_diagonal.head(done - 1));
  double sum = 0;
  for (int k = 0; k < done; ++k) {
    const double value = std::sqrt(std::max(0.0, solver.eigenvalues()(k)));
    const double weight = std::pow(solver.eigenvectors()(0, k), 2);
    sum += weight * value;
    band.largest = std::max(band.largest, value);
    band.smallest = std::min(band.smallest, value);
  }
  band.nuclear_norm += static_cast<double>(n) * sum;
}

}  // namespace detail

/// The band of the singular values of a block, and its nuclear norm. Up to exact_up_to lines on the shorter
/// side: from the eigenvalues of the Gram matrix in double, so a singular value is right to about 1e-8 of the
/// largest. Beyond, by Lanczos iterations from random starts: the estimated band lies inside the true one.
/// With the defaults its ends are within 3 % of the largest singular value, and the nuclear norm is within 2
/// % for what an iteration leaves of a polar factor (0.7 to 1.2) and within 5 % for a Gaussian block; a few
/// singular values far below all others are not seen by the lower end. Cost: rows * cols * min(rows, cols)
/// multiplications up to there; 2 * probes * steps reads of the block beyond. Errors: Error for no probe or
/// no step.
template <class Derived>
SingularBand singular_band(const Eigen::MatrixBase<Derived>& block, const SingularBandOptions& options = {}) {
  detail::require(options.probes >= 1 && options.steps >= 1, [&] {
    return "singular_band: an estimate needs one probe and one step or more, not " +
           std::to_string(options.probes) + " and " + std::to_string(options.steps);
  });
  if (block.rows() == 0 || block.cols() == 0) return {};
  Matrix<double> wide = block.template cast<double>();
  if (wide.rows() > wide.cols()) wide.transposeInPlace();
  const double scale = wide.cwiseAbs().maxCoeff();
  if (!(scale > 0) || !detail::is_finite(scale)) return {scale, scale, scale, true};
  wide /= scale;  // the Gram matrix of entries of 1e-30 and 1e30 is one of floats, too
  SingularBand band;
  if (wide.rows() <= options.exact_up_to) {
    const Eigen::MatrixXd gram = wide * wide.transpose();
    const Eigen::VectorXd values =
        Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd>(gram, Eigen::EigenvaluesOnly)
            .eigenvalues()
            .cwiseMax(0.0)
            .cwiseSqrt();
    band = {values.minCoeff(), values.maxCoeff(), values.sum(), true};
  } else {
    band = {std::numeric_limits<double>::infinity(), 0, 0, false};
    std::mt19937_64 random(options.seed);
    for (int probe = 0; probe < options.probes; ++probe) detail::lanczos(wide, options.steps, random, band);
    band.nuclear_norm /= options.probes;
  }
  return {band.smallest * scale, band.largest * scale, band.nuclear_norm * scale, band.is_exact};
}

}}  // namespace symopt
