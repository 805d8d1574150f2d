// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/symopt.hpp>

#include <cmath>

namespace field {

using symopt::Index;
using symopt::Matrix;
using symopt::Shape;

/// Muon's approximate polar factor: five steps of the quintic iteration.
using Orthogonalize = symopt::Spectral<symopt::polar::NewtonSchulz>;

/// The product of two small blocks, by loops that compile quickly.
template <class A, class B>
Matrix<typename A::Scalar> product(const Eigen::MatrixBase<A>& a, const Eigen::MatrixBase<B>& b) {
  return a.lazyProduct(b);
}

/// The block at a root mean square of 0.2, the size of AdamW's steps: 0.2 sqrt(m n) X / |X|_F, and 0 for 0.
template <class Scalar>
Matrix<Scalar> at_size_of_adamw(const Matrix<Scalar>& block) {
  const Scalar norm = block.norm();
  if (!(norm > 0)) return block;
  return block * (Scalar(0.2) * std::sqrt(static_cast<Scalar>(block.size())) / norm);
}

}  // namespace field
