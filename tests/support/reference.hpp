// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "support/inputs.hpp"

#include <Eigen/SVD>

// The maps as their definitions read, without the library: slow, in double.
namespace symopt_test {

using Svd = Eigen::JacobiSVD<Eigen::MatrixXd>;

inline Svd svd_of(const Matrix<double>& block) {
  return Svd(block, Eigen::ComputeThinU | Eigen::ComputeThinV);
}

inline Eigen::VectorXd singular_values(const Matrix<double>& block) {
  if (block.size() == 0) return {};
  return Svd(block).singularValues();
}

/// The block with every singular value s replaced by change(s).
template <class Change>
Matrix<double> with_changed_spectrum(const Matrix<double>& block, const Change& change) {
  if (block.size() == 0) return block;
  const Svd svd = svd_of(block);
  return svd.matrixU() * svd.singularValues().unaryExpr(change).asDiagonal() * svd.matrixV().transpose();
}

/// The partial isometry: singular values above cutoff times the largest become 1, the others 0.
inline Matrix<double> polar_by_svd(const Matrix<double>& block, double cutoff = 1e-10) {
  const double largest = block.size() == 0 ? 0.0 : singular_values(block)(0);
  return with_changed_spectrum(block, [=](double s) { return s > cutoff * largest && s > 0 ? 1.0 : 0.0; });
}

inline double nuclear_norm(const Matrix<double>& block) {
  return singular_values(block).sum();
}

inline Matrix<double> rows_normalized(Matrix<double> block, double eps = 1e-8) {
  for (auto row : block.rowwise())
    if (const double length = row.norm(); length > 0) row /= length + eps;
  return block;
}

inline Matrix<double> columns_normalized(const Matrix<double>& block, double eps = 1e-8) {
  return rows_normalized(block.transpose(), eps).transpose();
}

inline Matrix<double> signs_of(const Matrix<double>& block) {
  return block.unaryExpr([](double entry) { return entry > 0 ? 1.0 : entry < 0 ? -1.0 : 0.0; });
}

}  // namespace symopt_test
