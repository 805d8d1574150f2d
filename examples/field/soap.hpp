// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "common.hpp"

#include <Eigen/Eigenvalues>
#include <Eigen/QR>

#include <cmath>

namespace field {

/// SOAP: Adam in the eigenbases of Shampoo's two averages.
///   L <- b L + (1 - b) G G^T, R <- b R + (1 - b) G^T G, after the update; Q_L, Q_R their eigenvectors from
///   the first gradient, by descending eigenvalues, then one step of orthogonal iteration every few steps:
///   Q <- the orthogonal factor of L Q
///   G' = Q_L^T G Q_R,  M <- b1 M + (1 - b1) G,  M' = Q_L^T M Q_R,  V <- b2 V + (1 - b2) G' o G'
///   U = Q_L (M' / (sqrt(V) + eps)) Q_R^T, with Adam's corrections for the start at zero
/// The first gradient only makes the bases, as in the authors' code: no step is taken.
/// Source: Vyas et al., arXiv 2409.11321, algorithms 3 and 4.
struct Soap {
  double beta1 = 0.95;
  double beta2 = 0.95;  ///< also of L and R
  double eps = 1e-8;
  int every = 10;  ///< steps from one renewal of the bases to the next

  template <class Scalar>
  struct State {
    explicit State(Shape shape)
        : momentum(Matrix<Scalar>::Zero(shape.rows, shape.cols)),
          mean_squares(momentum),
          left(Matrix<Scalar>::Zero(shape.rows, shape.rows)),
          right(Matrix<Scalar>::Zero(shape.cols, shape.cols)) {}
    Matrix<Scalar> momentum, mean_squares;  // the second in the bases
    Matrix<Scalar> left, right, left_basis, right_basis;
    int gradients = 0;
  };

  template <class Weights, class Gradient, class Scalar, class Direction>
  void operator()(const Weights&, const Gradient& gradient, State<Scalar>& state,
                  Direction& direction) const {
    direction.setZero();
    const int step = state.gradients++;
    if (step > 0) {
      const Matrix<Scalar>&q = state.left_basis, &r = state.right_basis;
      const Matrix<Scalar> projected = product(product(q.transpose(), gradient), r);
      state.momentum = Scalar(beta1) * state.momentum + Scalar(1 - beta1) * gradient;
      state.mean_squares = Scalar(beta2) * state.mean_squares + Scalar(1 - beta2) * projected.cwiseAbs2();
      const Scalar correction1 = Scalar(1 - std::pow(beta1, step)),
                   correction2 = Scalar(1 - std::pow(beta2, step));
      Matrix<Scalar> update = product(product(q.transpose(), state.momentum), r) / correction1;
      update.array() /= (state.mean_squares / correction2).array().sqrt() + Scalar(eps);
      direction = product(product(q, update), r.transpose());
    }
    state.left = Scalar(beta2) * state.left + Scalar(1 - beta2) * product(gradient, gradient.transpose());
    state.right = Scalar(beta2) * state.right + Scalar(1 - beta2) * product(gradient.transpose(), gradient);
    if (step == 0) {
      state.left_basis = eigenvectors(state.left);
      state.right_basis = eigenvectors(state.right);
    } else if (step % every == 0) {
      state.left_basis = iterated(state.left, state.left_basis);
      state.right_basis = iterated(state.right, state.right_basis);
    }
  }

 private:
  // The bases are found in double, as the authors' code does where it can.
  template <class Scalar>
  static Matrix<Scalar> eigenvectors(const Matrix<Scalar>& average) {
    const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> solver(average.template cast<double>());
    return solver.eigenvectors().rowwise().reverse().template cast<Scalar>();
  }
  template <class Scalar>
  static Matrix<Scalar> iterated(const Matrix<Scalar>& average, const Matrix<Scalar>& basis) {
    const Eigen::MatrixXd image = average.template cast<double>().lazyProduct(basis.template cast<double>());
    const Eigen::MatrixXd q = Eigen::HouseholderQR<Eigen::MatrixXd>(image).householderQ();
    return q.template cast<Scalar>();
  }
};

}  // namespace field
