// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/group/concept.hpp>
#include <symopt/group/haar.hpp>
#include <symopt/group/isometric_action.hpp>
#include <symopt/group/matrix_product.hpp>

namespace symopt { inline namespace SYMOPT_ABI {

/// All orthogonal matrices (rotations and reflections) on one side of an m x n block: O(m) on the
/// left, O(n) on the right.
/// Action: left W -> Q W, right W -> W Q^T; gradients and updates alike.
/// Families: rotations, and with them permutations and signs.
/// Random element: Haar. Generators: one per neighbouring pair of lines and one reflection.
/// Cost of the action: 2 m^2 n flops on the left, 2 m n^2 on the right; compose O(k^3).
template <Side side>
struct Orthogonal : IsometricAction<Orthogonal<side>, side> {
  static constexpr Families families = families_on(side, {.rotations = true});
  static constexpr bool takes_empty_blocks = true;  ///< it has elements for them

  /// A k x k orthogonal matrix, k the number of lines on this side.
  template <class Scalar>
  struct Element {
    using scalar_type = Scalar;
    Matrix<Scalar> rotation;
  };

  template <class Scalar>
  static Element<Scalar> identity(Shape shape) {
    const Index size = extent(shape, side);
    return {Matrix<Scalar>::Identity(size, size)};
  }
  template <class Scalar>
  static Element<Scalar> compose(const Element<Scalar>& g, const Element<Scalar>& h) {
    return {detail::matrix_product(g.rotation, h.rotation)};
  }
  template <class Scalar>
  static Element<Scalar> inverse(const Element<Scalar>& g) {
    return {g.rotation.transpose()};
  }
  template <class Scalar, RandomEngine Engine>
  static Element<Scalar> random(Shape shape, Engine& engine) {
    return {haar_orthogonal<Scalar>(extent(shape, side), engine)};
  }
  template <class Scalar>
  static std::vector<Element<Scalar>> generators(Shape shape) {
    std::vector<Element<Scalar>> elements;
    for (auto& rotation : detail::orthogonal_generators<Scalar>(extent(shape, side)))
      elements.push_back({std::move(rotation)});
    return elements;
  }
  template <class Scalar>
  static void act(const Element<Scalar>& g, auto& lines) {
    lines = detail::matrix_product(g.rotation, Matrix<Scalar>(lines));
  }
};

/// O(m), on the rows: W -> Q W.
using LeftOrthogonal = Orthogonal<Side::left>;
/// O(n), on the columns: W -> W Q^T.
using RightOrthogonal = Orthogonal<Side::right>;

}}  // namespace symopt
