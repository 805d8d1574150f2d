// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/kernel/buffer.hpp>

namespace symopt::inline SYMOPT_ABI::kernel {

/// The mean row of `block` (a 1 x cols row), summed in double.
template <class Scalar>
void mean_row(const MatrixRef<Scalar>& block, MatrixRef<double> mean) {
  mean.setZero();
  for (Index i = 0; i < block.rows(); ++i) mean.row(0) += block.row(i).template cast<double>();
  mean /= static_cast<double>(block.rows());
}

/// Subtracts from every row the mean row: block <- (I - 1 1^T / rows) block. Two reads of the block.
/// `scratch` holds at least cols numbers.
template <class Scalar>
void subtract_mean_row(MatrixRef<Scalar> block, Buffer<double>& scratch) {
  if (block.size() == 0) return;
  MatrixRef<double> mean = scratch.as({1, block.cols()});
  mean_row<Scalar>(block, mean);
  for (Index i = 0; i < block.rows(); ++i)
    block.row(i) = (block.row(i).template cast<double>() - mean.row(0)).template cast<Scalar>();
}

/// Subtracts from every column the mean column: block <- block (I - 1 1^T / cols).
template <class Scalar>
void subtract_mean_column(MatrixRef<Scalar> block) {
  if (block.size() == 0) return;
  for (Index i = 0; i < block.rows(); ++i) {
    const double mean = block.row(i).template cast<double>().mean();
    block.row(i) = (block.row(i).template cast<double>().array() - mean).template cast<Scalar>();
  }
}

}  // namespace symopt::kernel
