// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "common.hpp"

namespace field {

/// AdaMuon: Muon of the momentum's signs, with Adam's second moments of what comes out.
///   M <- b M + (1 - b) G,  O = orthogonalized sign(M)
///   V <- b V + (1 - b) O o O
///   U = O / (sqrt(V) + eps), at a root mean square of 0.2
/// The signs make EMA and heavy ball one rule.
/// Source: Si, Zhang and Shen, arXiv 2507.11005 (second version); its decay is the optimizer's.
struct AdaMuon {
  double beta = 0.95;
  double eps = 1e-8;
  Orthogonalize orthogonalize{};

  template <class Scalar>
  struct State {
    explicit State(Shape shape)
        : momentum(Matrix<Scalar>::Zero(shape.rows, shape.cols)), mean_squares(momentum) {}
    Matrix<Scalar> momentum, mean_squares;
  };

  template <class Weights, class Gradient, class Scalar, class Direction>
  void operator()(const Weights&, const Gradient& gradient, State<Scalar>& state,
                  Direction& direction) const {
    state.momentum = Scalar(beta) * state.momentum + Scalar(1 - beta) * gradient;
    const Matrix<Scalar> signs = state.momentum.cwiseSign();
    const Matrix<Scalar> orthogonal = orthogonalize(signs);
    state.mean_squares = Scalar(beta) * state.mean_squares + Scalar(1 - beta) * orthogonal.cwiseAbs2();
    const Matrix<Scalar> update = orthogonal.array() / (state.mean_squares.array().sqrt() + Scalar(eps));
    direction = at_size_of_adamw(update);
  }
};

}  // namespace field
