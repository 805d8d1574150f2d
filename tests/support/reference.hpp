// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "support/inputs.hpp"

#include <functional>

// The maps as their definitions read, without the library: slow, in double, compiled once.
namespace symopt_test {

/// block = left diag(values) right', with as many columns as the shorter side has lines.
struct SingularValues {
  Matrix<double> left;
  Eigen::VectorXd values;
  Matrix<double> right;
};

SingularValues svd_of(const Matrix<double>& block);

Eigen::VectorXd singular_values(const Matrix<double>& block);

/// The block with every singular value s replaced by change(s).
Matrix<double> with_changed_spectrum(const Matrix<double>& block,
                                     const std::function<double(double)>& change);

/// The partial isometry: singular values above cutoff times the largest become 1, the others 0.
Matrix<double> polar_by_svd(const Matrix<double>& block, double cutoff = 1e-10);

double nuclear_norm(const Matrix<double>& block);

Matrix<double> rows_normalized(Matrix<double> block, double eps = 1e-8);

Matrix<double> columns_normalized(const Matrix<double>& block, double eps = 1e-8);

Matrix<double> signs_of(const Matrix<double>& block);

}  // namespace symopt_test
