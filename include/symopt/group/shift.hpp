// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/group/concept.hpp>
#include <symopt/group/haar.hpp>

namespace symopt { inline namespace SYMOPT_ABI {

/// Translations of an m x n block by one row added to all rows (left: W -> W + 1 c^T, the freedom of a
/// softmax head), or by one column added to all columns (right: W -> W + a 1^T).
/// Action: weights are translated; gradients and updates do not move.
/// Families: translations. Random element: Gaussian. Generators: each coordinate by 1 and by sqrt 2,
/// whose multiples are dense.
/// Cost of the action: one pass over the block.
template <Side side>
struct Shift {
  static constexpr Families families = families_on(side, {.translations = true});
  static constexpr bool takes_empty_blocks = true;  ///< it has elements for them

  /// The added line as a matrix: 1 x n on the left, m x 1 on the right.
  template <class Scalar>
  struct Element {
    using scalar_type = Scalar;
    Matrix<Scalar> offset;
  };

  template <class Scalar>
  static Element<Scalar> identity(Shape shape) {
    const Shape line = line_shape(shape);
    return {Matrix<Scalar>::Zero(line.rows, line.cols)};
  }
  template <class Scalar>
  static Element<Scalar> compose(const Element<Scalar>& g, const Element<Scalar>& h) {
    return {g.offset + h.offset};
  }
  template <class Scalar>
  static Element<Scalar> inverse(const Element<Scalar>& g) {
    return {-g.offset};
  }
  template <class Scalar, RandomEngine Engine>
  static Element<Scalar> random(Shape shape, Engine& engine) {
    return {gaussian<Scalar>(line_shape(shape), engine)};
  }
  template <class Scalar>
  static std::vector<Element<Scalar>> generators(Shape shape) {
    std::vector<Element<Scalar>> elements;
    const Element<Scalar> zero = identity<Scalar>(shape);
    for (Index i = 0; i < zero.offset.size(); ++i)
      for (const Scalar amount : {Scalar(1), std::sqrt(Scalar(2))}) {
        elements.push_back(zero);
        elements.back().offset.data()[i] = amount;
      }
    return elements;
  }
  template <class Scalar>
  static void act_on_weights(const Element<Scalar>& g, std::type_identity_t<MatrixRef<Scalar>> block) {
    if constexpr (side == Side::left) {
      block.rowwise() += g.offset.row(0);
    } else {
      block.colwise() += g.offset.col(0);
    }
  }
  template <class Scalar>
  static void act_on_gradient(const Element<Scalar>&, std::type_identity_t<MatrixRef<Scalar>>) {}
  template <class Scalar>
  static void act_on_update(const Element<Scalar>&, std::type_identity_t<MatrixRef<Scalar>>) {}

  /// The offset as the linear factors of a product see it: they move it like the line of an update.
  template <class Scalar>
  static MatrixRef<Scalar> offset_of(Element<Scalar>& g) {
    return g.offset;
  }

 private:
  static Shape line_shape(Shape shape) {
    return side == Side::left ? Shape{1, shape.cols} : Shape{shape.rows, 1};
  }
};

/// W -> W + 1 c^T: one row is added to all rows. The gauge of a softmax over the rows.
using SharedShift = Shift<Side::left>;
/// W -> W + a 1^T: one column is added to all columns.
using ColumnShift = Shift<Side::right>;

}}  // namespace symopt
