// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/matrix.hpp>

namespace symopt { inline namespace SYMOPT_ABI { namespace detail {

/// a b, as group elements act and compose. In a scalar for which Eigen has no vectors, as checks compute in,
/// by plain loops past the zeros of a, of which generators have many: there Eigen's product for large
/// matrices is no faster, and it would take longer to compile than all else in the groups.
template <class Scalar>
Matrix<Scalar> matrix_product(const Matrix<Scalar>& a, const Matrix<Scalar>& b) {
  if constexpr (RealScalar<Scalar>) {
    return a * b;
  } else {
    Matrix<Scalar> product = Matrix<Scalar>::Zero(a.rows(), b.cols());
    for (Index i = 0; i < a.rows(); ++i)
      for (Index k = 0; k < a.cols(); ++k) {
        const Scalar factor = a(i, k);
        if (factor == 0) continue;
        for (Index j = 0; j < b.cols(); ++j) product(i, j) += factor * b(k, j);
      }
    return product;
  }
}

}}}  // namespace symopt::detail
