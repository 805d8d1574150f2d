// SPDX-License-Identifier: Apache-2.0
#include "support/reference.hpp"

#include <Eigen/SVD>

namespace symopt_test {

SingularValues svd_of(const Matrix<double>& block) {
  const Eigen::JacobiSVD<Eigen::MatrixXd> svd(block, Eigen::ComputeThinU | Eigen::ComputeThinV);
  return {svd.matrixU(), svd.singularValues(), svd.matrixV()};
}

Eigen::VectorXd singular_values(const Matrix<double>& block) {
  if (block.size() == 0) return {};
  return Eigen::JacobiSVD<Eigen::MatrixXd>(block).singularValues();
}

Matrix<double> with_changed_spectrum(const Matrix<double>& block,
                                     const std::function<double(double)>& change) {
  if (block.size() == 0) return block;
  const SingularValues svd = svd_of(block);
  return svd.left * svd.values.unaryExpr(change).asDiagonal() * svd.right.transpose();
}

Matrix<double> polar_by_svd(const Matrix<double>& block, double cutoff) {
  const double largest = block.size() == 0 ? 0.0 : singular_values(block)(0);
  return with_changed_spectrum(block, [=](double s) { return s > cutoff * largest && s > 0 ? 1.0 : 0.0; });
}

double nuclear_norm(const Matrix<double>& block) {
  return singular_values(block).sum();
}

Matrix<double> rows_normalized(Matrix<double> block, double eps) {
  for (auto row : block.rowwise())
    if (const double length = row.norm(); length > 0) row /= length + eps;
  return block;
}

Matrix<double> columns_normalized(const Matrix<double>& block, double eps) {
  return rows_normalized(block.transpose(), eps).transpose();
}

Matrix<double> signs_of(const Matrix<double>& block) {
  return block.unaryExpr([](double entry) { return entry > 0 ? 1.0 : entry < 0 ? -1.0 : 0.0; });
}

}  // namespace symopt_test
