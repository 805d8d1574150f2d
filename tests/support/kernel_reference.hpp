// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "support/inputs.hpp"

// The products and inverses of kernel/ as their definitions read: plain loops in a wider scalar, compiled
// once.
namespace symopt_test {

/// The product, and for each entry the sum of the absolute terms, against which rounding is measured.
struct ReferenceProduct {
  Matrix<double> value;
  Matrix<double> size;
};

/// a b of blocks whose entries are numbers of `Scalar`: summed in double for float, in long double for
/// double.
template <class Scalar>
ReferenceProduct reference_product(const Matrix<double>& a, const Matrix<double>& b);
template <>
ReferenceProduct reference_product<float>(const Matrix<double>& a, const Matrix<double>& b);
template <>
ReferenceProduct reference_product<double>(const Matrix<double>& a, const Matrix<double>& b);

/// The largest error of an entry, in units of roundoff of what was summed for it.
template <class Derived>
double error_in_roundoff(const Eigen::MatrixBase<Derived>& actual, const ReferenceProduct& expected) {
  Worst worst;
  for (Index i = 0; i < expected.value.rows(); ++i)
    for (Index j = 0; j < expected.value.cols(); ++j) {
      const double error = std::abs(static_cast<double>(actual(i, j)) - expected.value(i, j));
      const double unit = roundoff<typename Derived::Scalar> * expected.size(i, j);
      worst.add(error == 0 ? 0 : error / unit);
    }
  return worst.value();
}

/// The inverse of a symmetric positive definite matrix by Gauss-Jordan elimination in long double; false when
/// a pivot is not positive.
bool reference_inverse(const Matrix<double>& matrix, Matrix<double>& inverse);

}  // namespace symopt_test
