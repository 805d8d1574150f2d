// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "common.hpp"

#include <cmath>

namespace field {

/// NorMuon: Muon, with every row of the orthogonalized momentum over the root of the running mean of its
/// squares.
///   M <- b1 M + (1 - b1) G,  O = orthogonalized M
///   v_i <- b2 v_i + (1 - b2) mean_j O_ij^2
///   U_ij = O_ij / (sqrt(v_i) + eps), at a root mean square of 0.2
/// Source: Li et al., arXiv 2510.05491, algorithm 1; its decay is the optimizer's.
struct NorMuon {
  double beta1 = 0.95;
  double beta2 = 0.95;
  double eps = 1e-8;
  Orthogonalize orthogonalize{};

  template <class Scalar>
  struct State {
    explicit State(Shape shape)
        : momentum(Matrix<Scalar>::Zero(shape.rows, shape.cols)),
          mean_squares(Matrix<Scalar>::Zero(shape.rows, 1)) {}
    Matrix<Scalar> momentum;
    Matrix<Scalar> mean_squares;  // of each row
  };

  template <class Weights, class Gradient, class Scalar, class Direction>
  void operator()(const Weights&, const Gradient& gradient, State<Scalar>& state,
                  Direction& direction) const {
    state.momentum = Scalar(beta1) * state.momentum + Scalar(1 - beta1) * gradient;
    Matrix<Scalar> update = orthogonalize(state.momentum);
    for (Index i = 0; i < update.rows(); ++i) {
      Scalar& v = state.mean_squares(i, 0);
      v = Scalar(beta2) * v + Scalar(1 - beta2) * update.row(i).squaredNorm() / Scalar(update.cols());
      update.row(i) /= std::sqrt(v) + Scalar(eps);
    }
    direction = at_size_of_adamw(update);
  }
};

}  // namespace field
