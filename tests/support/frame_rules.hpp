// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "support/reference.hpp"

#include <symopt/frame/frame_average.hpp>
#include <symopt/symopt.hpp>

// Rules that lack a symmetry, to be averaged over a frame.
namespace symopt_test {

using namespace symopt;  // names of rules and groups only

/// Commutes with nothing: every entry has its own place, and no function here is odd.
struct Crooked {
  template <class Derived>
  Matrix<typename Derived::Scalar> operator()(const Eigen::MatrixBase<Derived>& block) const {
    using Scalar = typename Derived::Scalar;
    const Scalar largest = block.cwiseAbs().maxCoeff();
    Matrix<Scalar> result = block / (largest > 0 ? largest : Scalar(1));
    for (Index i = 0; i < result.rows(); ++i)
      for (Index j = 0; j < result.cols(); ++j)
        result(i, j) = Scalar(1 + i + 2 * j) * std::tanh(result(i, j) + Scalar(0.3));
    return result;
  }
};

/// Not even entry by entry.
struct Tangled {
  template <class Derived>
  Matrix<typename Derived::Scalar> operator()(const Eigen::MatrixBase<Derived>& block) const {
    Matrix<typename Derived::Scalar> result = Crooked{}(block);
    for (Index j = 0; j < result.cols(); ++j) result.col(j) += block.col((j + 1) % block.cols());
    return result;
  }
};

struct MaxAbs {
  using largest_group = Product<SignedRowPermutation, SignedColumnPermutation>;
  template <class Derived>
  auto operator()(const Eigen::MatrixBase<Derived>& block) const {
    const auto largest = block.cwiseAbs().maxCoeff();
    return (block / (largest > 0 ? largest : 1)).eval();
  }
};

/// An equivariant rule that does not say so.
template <class Rule>
struct Silent {
  Rule rule{};
  auto operator()(const auto& block) const { return rule(block); }
};

/// Momentum with a rate of its own for each row and column, a direction that is not odd, and the weights.
struct CrookedMomentum {
  double beta = 0.5;
  template <class Scalar>
  struct State {
    explicit State(Shape shape) : sum(Matrix<Scalar>::Zero(shape.rows, shape.cols)) {}
    Matrix<Scalar> sum;
  };
  template <class Weights, class Gradient, class Scalar, class Direction>
  void operator()(const Weights& weights, const Gradient& gradient, State<Scalar>& state,
                  Direction& direction) const {
    state.sum = Scalar(beta) * state.sum + gradient + Scalar(0.1) * weights;
    direction = Crooked{}(state.sum);
  }
};

/// The weights decide, entry by entry; commutes with signed permutations of both sides.
struct Cautious {
  using largest_group = Product<SignedRowPermutation, SignedColumnPermutation>;
  template <class Scalar>
  struct State {};
  template <class Weights, class Gradient, class Scalar, class Direction>
  void operator()(const Weights& weights, const Gradient& gradient, State<Scalar>&,
                  Direction& direction) const {
    direction = (weights.array() * gradient.array() > Scalar(0)).select(gradient, Scalar(0) * gradient);
  }
};

}  // namespace symopt_test
