// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "support/inputs.hpp"

#include <symopt/group/gauge.hpp>
#include <symopt/group/permutation.hpp>

// The groups of pairs that tests run through, a user's algebra among them.
namespace symopt_test {

using namespace symopt;

struct QueryKeyHalves : Gauge<algebra::Planes<algebra::Pairing::halves>, LeftOrthogonal, LeftOrthogonal> {};
struct ScalarPair : Gauge<algebra::Scalars, LeftOrthogonal, LeftOrthogonal> {};
struct RowAwarePair : Gauge<algebra::Full, RowPermutation, RowPermutation> {};

/// A user's algebra: a 2 x 2 matrix for every two columns, by a projection and a factor alone.
struct SquareBlocks {
  template <class Scalar>
  static void project(MatrixRef<Scalar> square) {
    for (Index i = 0; i < square.rows(); ++i)
      for (Index j = 0; j < square.cols(); ++j)
        if (i / 2 != j / 2) square(i, j) = 0;
  }
  template <class Scalar>
  static bool factor(MatrixRef<Scalar> positive) {
    return algebra::Full::factor<Scalar>(positive);
  }
};
struct UsersPair : Gauge<SquareBlocks, LeftOrthogonal, LeftOrthogonal> {};

/// A pair and what a loss of its product has for gradients.
struct Pair {
  Matrix<double> a, b, gradient_a, gradient_b;
};

/// W is the gradient of the product: G_A = W B, G_B = W^T A.
inline void set_gradients(Pair& pair, const Matrix<double>& w) {
  pair.gradient_a = w * pair.b;
  pair.gradient_b = w.transpose() * pair.a;
}

inline Pair random_pair(const PairShape& shape, Random& random) {
  Pair pair{gaussian_block(shape.a(), random), gaussian_block(shape.b(), random), {}, {}};
  set_gradients(pair, gaussian_block({shape.rows_of_a, shape.rows_of_b}, random));
  return pair;
}

template <class Group>
Pair moved(const typename Group::template Element<double>& g, Pair pair) {
  Group::act_on_weights(g, pair.a, pair.b);
  Group::act_on_gradient(g, pair.gradient_a, pair.gradient_b);
  return pair;
}

}  // namespace symopt_test
