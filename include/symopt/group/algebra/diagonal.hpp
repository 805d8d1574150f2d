// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/group/algebra/diagonal_factors.hpp>
#include <symopt/group/algebra/sample.hpp>

#include <vector>

namespace symopt { inline namespace SYMOPT_ABI { namespace algebra {

/// Diagonal matrices: the gauge of the two sides of a neuron, a number for each. Positive elements alone
/// leave a ReLU pair as it is, all invertible ones the up and down matrices of a gated pair. Orthogonal
/// elements: signs. Normaliser: signed permutations.
struct Diagonal : detail::DiagonalFactors {
  static constexpr SideFamilies orthogonal{.signs = true};
  static constexpr SideFamilies normaliser{.permutations = true, .signs = true};

  template <class Scalar>
  static void project(MatrixRef<Scalar> square) {
    for (Index i = 0; i < square.rows(); ++i)
      for (Index j = 0; j < square.cols(); ++j)
        if (i != j) square(i, j) = 0;
  }

  /// Numbers of either sign that spread over `condition`.
  template <class Scalar, RandomEngine Engine>
  static Invertible<Scalar> random(Index size, double condition, Engine& engine) {
    Invertible<Scalar> element = random_positive<Scalar>(size, condition, engine);
    for (Index i = 0; i < size; ++i)
      if (uniform_number(engine) < 0.5) {
        element.matrix(i, i) = -element.matrix(i, i);
        element.inverse(i, i) = -element.inverse(i, i);
      }
    return element;
  }
  /// Positive numbers.
  template <class Scalar, RandomEngine Engine>
  static Invertible<Scalar> random_positive(Index size, double condition, Engine& engine) {
    Invertible<Scalar> element{Matrix<Scalar>::Zero(size, size), Matrix<Scalar>::Zero(size, size)};
    const std::vector<double> numbers = detail::spread_numbers(size, condition, engine);
    for (Index i = 0; i < size; ++i) {
      element.matrix(i, i) = static_cast<Scalar>(numbers[static_cast<std::size_t>(i)]);
      element.inverse(i, i) = 1 / element.matrix(i, i);
    }
    return element;
  }
  /// Each entry times -1, times 2, times 3.
  template <class Scalar>
  static std::vector<Invertible<Scalar>> generators(Index size) {
    std::vector<Invertible<Scalar>> elements;
    for (Index i = 0; i < size; ++i)
      for (const Scalar number : {Scalar(-1), Scalar(2), Scalar(3)})
        elements.push_back(detail::scaled_coordinate(size, i, number));
    return elements;
  }
};

static_assert(PairAlgebra<Diagonal>);

}}}  // namespace symopt::algebra
