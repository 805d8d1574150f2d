// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/matrix.hpp>

#include <cmath>

namespace symopt { inline namespace SYMOPT_ABI { namespace detail {

/// Algebras whose positive elements are diagonal, so that their factors are square roots of numbers.
struct DiagonalFactors {
  template <class Scalar>
  static bool factor(MatrixRef<Scalar> positive) {
    for (Index i = 0; i < positive.rows(); ++i) {
      if (!(positive(i, i) > 0)) return false;
      positive(i, i) = std::sqrt(positive(i, i));
    }
    return true;
  }
  /// block <- block F^-1.
  template <class Scalar>
  static void divide(const MatrixRef<Scalar>& factor, MatrixRef<Scalar> block) {
    for (Index i = 0; i < block.rows(); ++i)
      for (Index j = 0; j < block.cols(); ++j) block(i, j) /= factor(j, j);
  }
  /// block <- block F^-T.
  template <class Scalar>
  static void divide_by_transpose(const MatrixRef<Scalar>& factor, MatrixRef<Scalar> block) {
    divide<Scalar>(factor, block);
  }
};

}}}  // namespace symopt::detail
