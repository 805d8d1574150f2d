// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/error.hpp>
#include <symopt/group/algebra/diagonal_factors.hpp>
#include <symopt/group/algebra/sample.hpp>

#include <cmath>
#include <string>
#include <utility>
#include <vector>

namespace symopt { inline namespace SYMOPT_ABI { namespace algebra {

/// The columns that form the planes of rotary positions: neighbours (0, 1), (2, 3), ..., or the i-th of the
/// one half and of the other, (0, r/2), (1, r/2 + 1), ..., as Llama's code has them.
enum class Pairing { adjacent, halves };

/// A complex number a + ib in each plane, [[a, -b], [b, a]], zero elsewhere: the gauge of query and key under
/// rotary positions, whose rotations commute with it. Sizes are even.
/// Orthogonal elements: a rotation in each plane. Normaliser: for planes of neighbours, rotations and
/// reflections of each plane and exchanges of planes, HeadRotations<Side::right, 2>; for halves that group
/// with the columns in the order of their planes. Positive elements: a positive number for each plane.
template <Pairing pairing = Pairing::adjacent>
struct Planes : detail::DiagonalFactors {
  static constexpr SideFamilies orthogonal{.block_rotations = 2};
  static constexpr SideFamilies normaliser{.block_rotations = 2, .block_permutations = 2};

  static void require_size(Index size) {
    detail::require(size % 2 == 0, [&] {
      return "the planes of rotary positions take two columns each, and " + std::to_string(size) +
             " is odd; give each head an even number of columns, or take another algebra";
    });
  }
  /// The two columns of a plane.
  ///@{
  static constexpr Index first(Index plane, Index) {
    return pairing == Pairing::adjacent ? 2 * plane : plane;
  }
  static constexpr Index second(Index plane, Index size) {
    return pairing == Pairing::adjacent ? 2 * plane + 1 : plane + size / 2;
  }
  ///@}

  template <class Scalar>
  static void project(MatrixRef<Scalar> square) {
    const Index size = square.rows();
    require_size(size);
    const Matrix<Scalar> s = square;
    square.setZero();
    for (Index p = 0; p < size / 2; ++p) {
      const Index i = first(p, size), j = second(p, size);
      set(square, p, (s(i, i) + s(j, j)) / 2, (s(j, i) - s(i, j)) / 2);
    }
  }

  /// A number of any angle in each plane; their moduli spread over `condition`.
  template <class Scalar, RandomEngine Engine>
  static Invertible<Scalar> random(Index size, double condition, Engine& engine) {
    return sampled<Scalar>(size, condition, engine, 1);
  }
  /// A positive number in each plane.
  template <class Scalar, RandomEngine Engine>
  static Invertible<Scalar> random_positive(Index size, double condition, Engine& engine) {
    return sampled<Scalar>(size, condition, engine, 0);
  }
  /// In each plane a turn by one radian, and times 2, and times 3.
  template <class Scalar>
  static std::vector<Invertible<Scalar>> generators(Index size) {
    require_size(size);
    std::vector<Invertible<Scalar>> elements;
    for (Index p = 0; p < size / 2; ++p)
      for (const auto& [a, b] : {std::pair{std::cos(Scalar(1)), std::sin(Scalar(1))},
                                 {Scalar(2), Scalar(0)},
                                 {Scalar(3), Scalar(0)}}) {
        elements.push_back({Matrix<Scalar>::Identity(size, size), Matrix<Scalar>::Identity(size, size)});
        set_invertible(elements.back(), p, a, b);
      }
    return elements;
  }

 private:
  template <class Scalar>
  static void set(auto&& square, Index p, Scalar a, Scalar b) {
    const Index i = first(p, square.rows()), j = second(p, square.rows());
    square(i, i) = square(j, j) = a;
    square(j, i) = b;
    square(i, j) = -b;
  }
  template <class Scalar>
  static void set_invertible(Invertible<Scalar>& element, Index p, Scalar a, Scalar b) {
    const Scalar squared = a * a + b * b;
    set(element.matrix, p, a, b);
    set(element.inverse, p, a / squared, -b / squared);
  }
  template <class Scalar, RandomEngine Engine>
  static Invertible<Scalar> sampled(Index size, double condition, Engine& engine, double turns) {
    require_size(size);
    Invertible<Scalar> element{Matrix<Scalar>::Zero(size, size), Matrix<Scalar>::Zero(size, size)};
    const std::vector<double> moduli = detail::spread_numbers(size / 2, condition, engine);
    for (Index p = 0; p < size / 2; ++p) {
      const auto modulus = static_cast<Scalar>(moduli[static_cast<std::size_t>(p)]);
      const auto angle = static_cast<Scalar>(turns * 6.283185307179586 * uniform_number(engine));
      set_invertible(element, p, modulus * std::cos(angle), modulus * std::sin(angle));
    }
    return element;
  }
};

static_assert(PairAlgebra<Planes<>> && PairAlgebra<Planes<Pairing::halves>>);

}}}  // namespace symopt::algebra
