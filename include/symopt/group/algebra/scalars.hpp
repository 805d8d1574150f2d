// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/group/algebra/diagonal_factors.hpp>
#include <symopt/group/algebra/sample.hpp>

#include <vector>

namespace symopt { inline namespace SYMOPT_ABI { namespace algebra {

/// Multiples of the identity: the gauge of every pair, and the only one of query and key under norms of both.
/// Orthogonal elements: plus and minus the identity, which every odd map allows. Normaliser: O(r).
struct Scalars : detail::DiagonalFactors {
  static constexpr SideFamilies orthogonal{};
  static constexpr SideFamilies normaliser{.rotations = true};

  template <class Scalar>
  static void project(MatrixRef<Scalar> square) {
    if (square.rows() == 0) return;
    Scalar trace = 0;
    for (Index i = 0; i < square.rows(); ++i) trace += square(i, i);
    square.setZero();
    for (Index i = 0; i < square.rows(); ++i) square(i, i) = trace / static_cast<Scalar>(square.rows());
  }

  /// A number of either sign between condition^(-1/2) and condition^(1/2) in size.
  template <class Scalar, RandomEngine Engine>
  static Invertible<Scalar> random(Index size, double condition, Engine& engine) {
    const Scalar sign = uniform_number(engine) < 0.5 ? Scalar(-1) : Scalar(1);
    return multiple(size, sign * number<Scalar>(condition, engine));
  }
  /// A positive number.
  template <class Scalar, RandomEngine Engine>
  static Invertible<Scalar> random_positive(Index size, double condition, Engine& engine) {
    return multiple(size, number<Scalar>(condition, engine));
  }
  /// -1, 2 and 3.
  template <class Scalar>
  static std::vector<Invertible<Scalar>> generators(Index size) {
    return {multiple(size, Scalar(-1)), multiple(size, Scalar(2)), multiple(size, Scalar(3))};
  }

 private:
  template <class Scalar>
  static Scalar number(double condition, auto& engine) {
    return static_cast<Scalar>(detail::spread_numbers(1, condition, engine).front());
  }
  template <class Scalar>
  static Invertible<Scalar> multiple(Index size, Scalar number) {
    return {Matrix<Scalar>::Identity(size, size) * number, Matrix<Scalar>::Identity(size, size) / number};
  }
};

static_assert(PairAlgebra<Scalars>);

}}}  // namespace symopt::algebra
