// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "common.hpp"

#include <cmath>

namespace field {

/// Turbo-Muon: the columns of the momentum scaled as in an almost orthogonal layer (AOL), then four steps of
/// Muon's quintic iteration in place of five.
///   M <- b M + G,  A = M^T M,  s_j = (sum_k |A_jk|)^(-1/2),  X = M diag(s), of spectral norm at most 1
///   four times: A = X^T X,  X <- X (3.4445 - 4.775 A + 2.0315 A^2)
/// A column of zeros stays one.
/// Source: Boissin et al., arXiv 2512.04632. Its code takes the shorter side of the block, which mirrors the
/// scaling of wide ones.
struct TurboMuon {
  double beta = 0.95;
  int steps = 4;

  template <class Scalar>
  struct State {
    explicit State(Shape shape) : momentum(Matrix<Scalar>::Zero(shape.rows, shape.cols)) {}
    Matrix<Scalar> momentum;
  };

  template <class Weights, class Gradient, class Scalar, class Direction>
  void operator()(const Weights&, const Gradient& gradient, State<Scalar>& state,
                  Direction& direction) const {
    state.momentum = Scalar(beta) * state.momentum + gradient;
    Matrix<Scalar> x = preconditioned(state.momentum);
    for (int step = 0; step < steps; ++step) {
      const Matrix<Scalar> a = product(x.transpose(), x), xa = product(x, a);
      x = (Scalar(3.4445) * x - Scalar(4.775) * xa + Scalar(2.0315) * product(xa, a)).eval();
    }
    direction = x;
  }

  /// M diag(s).
  template <class Scalar>
  static Matrix<Scalar> preconditioned(const Matrix<Scalar>& momentum) {
    const Matrix<Scalar> a = product(momentum.transpose(), momentum);
    Matrix<Scalar> x = momentum;
    for (Index j = 0; j < x.cols(); ++j) {
      const Scalar sum = a.row(j).cwiseAbs().sum();
      if (sum > 0) x.col(j) /= std::sqrt(sum);
    }
    return x;
  }
};

}  // namespace field
