// SPDX-License-Identifier: Apache-2.0
#include "support/kernel_reference.hpp"

#include <algorithm>
#include <cmath>

namespace symopt_test {

namespace {

/// The sums of absolute terms in double, row by row of b; they are a unit, and need few digits.
Matrix<double> product_of_sizes(const Matrix<double>& a, const Matrix<double>& b) {
  Matrix<double> sizes = Matrix<double>::Zero(a.rows(), b.cols());
  for (Index i = 0; i < a.rows(); ++i)
    for (Index k = 0; k < a.cols(); ++k) sizes.row(i) += std::abs(a(i, k)) * b.row(k).cwiseAbs();
  return sizes;
}

}  // namespace

template <>
ReferenceProduct reference_product<float>(const Matrix<double>& a, const Matrix<double>& b) {
  Matrix<double> sums = Matrix<double>::Zero(a.rows(), b.cols());
  for (Index i = 0; i < a.rows(); ++i)
    for (Index k = 0; k < a.cols(); ++k) sums.row(i) += a(i, k) * b.row(k);
  return {sums, product_of_sizes(a, b)};
}

template <>
ReferenceProduct reference_product<double>(const Matrix<double>& a, const Matrix<double>& b) {
  constexpr Index side_by_side = 4;  // sums in registers, which do not wait for each other
  Matrix<double> sums(a.rows(), b.cols());
  const Matrix<double> columns = b.transpose();
  for (Index i = 0; i < a.rows(); ++i)
    for (Index j = 0; j < b.cols(); j += side_by_side) {
      const Index count = std::min(side_by_side, b.cols() - j);
      long double sum[side_by_side] = {};
      const double* column[side_by_side];
      for (Index c = 0; c < side_by_side; ++c)
        column[c] = columns.data() + (j + std::min(c, count - 1)) * b.rows();
      const double* row = a.data() + i * a.cols();
      for (Index k = 0; k < a.cols(); ++k) {
        const auto factor = static_cast<long double>(row[k]);
        for (Index c = 0; c < side_by_side; ++c) sum[c] += factor * static_cast<long double>(column[c][k]);
      }
      for (Index c = 0; c < count; ++c) sums(i, j + c) = static_cast<double>(sum[c]);
    }
  return {sums, product_of_sizes(a, b)};
}

bool reference_inverse(const Matrix<double>& matrix, Matrix<double>& inverse) {
  const Index size = matrix.rows();
  Matrix<long double> a = matrix.cast<long double>();
  for (Index p = 0; p < size; ++p) {
    const long double pivot = a(p, p);
    if (!(pivot > 0)) return false;
    const long double* pivot_row = a.data() + p * size;
    for (Index i = 0; i < size; ++i) {
      if (i == p) continue;
      long double* row = a.data() + i * size;
      const long double factor = row[p] / pivot;
      for (Index j = 0; j < size; ++j)
        if (j != p) row[j] -= factor * pivot_row[j];
    }
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
