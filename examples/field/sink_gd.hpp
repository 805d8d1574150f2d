// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "common.hpp"

#include <cmath>

namespace field {

/// SinkGD: the gradient with rows and columns normalized in turn, five times: every row by its norm over
/// sqrt(n), then every column by its norm over sqrt(m), for a block of m x n. No state; lines of zeros stay.
/// Source: Scetbon et al., arXiv 2502.06742, SR-Sinkhorn.
struct SinkGd {
  int iterations = 5;

  template <class Derived>
  Matrix<typename Derived::Scalar> operator()(const Eigen::MatrixBase<Derived>& gradient) const {
    using Scalar = typename Derived::Scalar;
    Matrix<Scalar> x = gradient;
    const Scalar of_row = std::sqrt(static_cast<Scalar>(x.cols()));
    const Scalar of_column = std::sqrt(static_cast<Scalar>(x.rows()));
    for (int k = 0; k < iterations; ++k) {
      for (Index i = 0; i < x.rows(); ++i)
        if (const Scalar norm = x.row(i).norm(); norm > 0) x.row(i) *= of_row / norm;
      for (Index j = 0; j < x.cols(); ++j)
        if (const Scalar norm = x.col(j).norm(); norm > 0) x.col(j) *= of_column / norm;
    }
    return x;
  }
};

}  // namespace field
