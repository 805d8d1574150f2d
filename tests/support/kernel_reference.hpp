// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "support/inputs.hpp"

// The products and inverses of kernel/ as their definitions read: plain loops in long double.
namespace symopt_test {

/// The product, and for each entry the sum of the absolute terms, against which rounding is measured.
struct ReferenceProduct {
  Matrix<double> value;
  Matrix<double> size;
};

inline ReferenceProduct reference_product(const Matrix<double>& a, const Matrix<double>& b) {
  ReferenceProduct result{Matrix<double>::Zero(a.rows(), b.cols()), Matrix<double>::Zero(a.rows(), b.cols())};
  for (Index i = 0; i < a.rows(); ++i)
    for (Index j = 0; j < b.cols(); ++j) {
      long double sum = 0, size = 0;
      for (Index k = 0; k < a.cols(); ++k) {
        const long double term = static_cast<long double>(a(i, k)) * static_cast<long double>(b(k, j));
        sum += term;
        size += std::abs(term);
      }
      result.value(i, j) = static_cast<double>(sum);
      result.size(i, j) = static_cast<double>(size);
    }
  return result;
}

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
inline bool reference_inverse(const Matrix<double>& matrix, Matrix<double>& inverse) {
  const Index size = matrix.rows();
  Eigen::Matrix<long double, Eigen::Dynamic, Eigen::Dynamic> a = matrix.cast<long double>();
  for (Index p = 0; p < size; ++p) {
    const long double pivot = a(p, p);
    if (!(pivot > 0)) return false;
    for (Index i = 0; i < size; ++i)
      for (Index j = 0; j < size; ++j)
        if (i != p && j != p) a(i, j) -= a(i, p) * a(p, j) / pivot;
    for (Index i = 0; i < size; ++i)
      if (i != p) {
        a(i, p) /= pivot;
        a(p, i) /= -pivot;
      }
    a(p, p) = 1 / pivot;
  }
  inverse = a.cast<double>();
  return true;
}

}  // namespace symopt_test
