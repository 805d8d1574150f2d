// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "common.hpp"

namespace field {

/// Lion: the sign of b1 M + (1 - b1) G, then M <- b2 M + (1 - b2) G.
/// Source: Chen et al., arXiv 2302.06675, algorithm 2; its decay is the optimizer's.
struct Lion {
  double beta1 = 0.9;
  double beta2 = 0.99;

  template <class Scalar>
  struct State {
    explicit State(Shape shape) : momentum(Matrix<Scalar>::Zero(shape.rows, shape.cols)) {}
    Matrix<Scalar> momentum;
  };

  template <class Weights, class Gradient, class Scalar, class Direction>
  void operator()(const Weights&, const Gradient& gradient, State<Scalar>& state,
                  Direction& direction) const {
    direction = (Scalar(beta1) * state.momentum + Scalar(1 - beta1) * gradient).cwiseSign();
    state.momentum = Scalar(beta2) * state.momentum + Scalar(1 - beta2) * gradient;
  }
};

}  // namespace field
