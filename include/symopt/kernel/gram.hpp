// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/matrix.hpp>
#include <symopt/side.hpp>

namespace symopt::inline SYMOPT_ABI::kernel {

/// Copies the lower triangle onto the upper one: exactly symmetric, whatever the product's rounding.
template <class Scalar>
void symmetrize_from_lower(MatrixRef<Scalar> square) {
  square.template triangularView<Eigen::StrictlyUpper>() = square.transpose();
}

/// The Gram matrix of `block`: block block^T on the left, block^T block on the right. Half the flops
/// of a general product: k^2 n for a k x k Gram with n terms per entry.
template <class Scalar>
void gram(const MatrixRef<Scalar>& block, Side side, MatrixRef<Scalar> out) {
  out.setZero();
  auto lower = out.template selfadjointView<Eigen::Lower>();
  if (side == Side::left) {
    lower.rankUpdate(block);
  } else {
    lower.rankUpdate(block.transpose());
  }
  symmetrize_from_lower<Scalar>(out);
}

/// out <- factor * block + square * block (left) or factor * block + block * square (right).
template <class Scalar>
void multiply_add(Scalar factor, const MatrixRef<Scalar>& block, const MatrixRef<Scalar>& square, Side side,
                  MatrixRef<Scalar> out) {
  out = factor * block;
  if (side == Side::left) {
    out.noalias() += square * block;
  } else {
    out.noalias() += block * square;
  }
}

}  // namespace symopt::kernel
