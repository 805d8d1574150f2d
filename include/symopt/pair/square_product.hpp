// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/pair/line_product.hpp>

namespace symopt { inline namespace SYMOPT_ABI { namespace detail {

/// Products of r x r matrices in double, on one thread. Cost: 2 r^3 flops.
class SquareProduct {
 public:
  explicit SquareProduct(Index rank) : product_(rank) {}

  /// out <- a b, or a b^T; out is neither of them.
  ///@{
  void multiply(const Matrix<double>& a, const Matrix<double>& b, Matrix<double>& out) {
    for (Index k = 0; k < b.rows(); ++k)
      for (Index j = 0; j < b.cols(); ++j) product_.entry(k, j) = b(k, j);
    apply(a, out);
  }
  void multiply_transposed(const Matrix<double>& a, const Matrix<double>& b, Matrix<double>& out) {
    for (Index j = 0; j < b.rows(); ++j)
      for (Index k = 0; k < b.cols(); ++k) product_.entry(k, j) = b(j, k);
    apply(a, out);
  }
  ///@}

 private:
  void apply(const Matrix<double>& a, Matrix<double>& out) const {
    product_.apply(a.data(), a.cols(), Side::right, a.rows(), out.data(), out.cols());
  }

  LineProduct<double> product_;
};

}}}  // namespace symopt::detail
