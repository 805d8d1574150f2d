// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/group/isometric_action.hpp>
#include <symopt/group/permutation.hpp>

#include <cmath>
#include <random>
#include <vector>

// Groups as a user writes them: they touch no symopt file.
namespace symopt_test {

/// The cyclic shifts of the rows, a subgroup of their permutations.
struct CyclicRows : symopt::IsometricAction<CyclicRows, symopt::Side::left> {
  using bound = symopt::RowPermutation;

  /// Row i becomes row i + turn, modulo the number of rows.
  template <class Scalar>
  struct Element {
    using scalar_type = Scalar;
    symopt::Index turn = 0;
  };

  template <class Scalar>
  static Element<Scalar> identity(symopt::Shape) {
    return {};
  }
  template <class Scalar>
  static Element<Scalar> compose(const Element<Scalar>& g, const Element<Scalar>& h) {
    return {g.turn + h.turn};
  }
  template <class Scalar>
  static Element<Scalar> inverse(const Element<Scalar>& g) {
    return {-g.turn};
  }
  template <class Scalar, class Engine>
  static Element<Scalar> random(symopt::Shape shape, Engine& engine) {
    return {
        std::uniform_int_distribution<symopt::Index>(0, std::max<symopt::Index>(shape.rows - 1, 0))(engine)};
  }
  template <class Scalar>
  static std::vector<Element<Scalar>> generators(symopt::Shape shape) {
    if (shape.rows < 2) return {};
    return {{1}};
  }
  template <class Scalar>
  static void act(const Element<Scalar>& g, auto& lines) {
    const auto before = lines.eval();
    const symopt::Index size = lines.rows();
    for (symopt::Index i = 0; i < size; ++i) lines.row((((i + g.turn) % size) + size) % size) = before.row(i);
  }
};

/// Every line of a side multiplied by a positive number of its own: gradients move by the inverse.
template <symopt::Side side>
struct Scalings {
  static constexpr symopt::Families families = symopt::families_on(side, {.positive_scalings = true});

  template <class Scalar>
  struct Element {
    using scalar_type = Scalar;
    std::vector<Scalar> factor;
  };

  template <class Scalar>
  static Element<Scalar> identity(symopt::Shape shape) {
    const symopt::Index lines = side == symopt::Side::left ? shape.rows : shape.cols;
    return {std::vector<Scalar>(static_cast<std::size_t>(lines), Scalar(1))};
  }
  template <class Scalar>
  static Element<Scalar> compose(const Element<Scalar>& g, const Element<Scalar>& h) {
    Element<Scalar> gh = g;
    for (std::size_t i = 0; i < h.factor.size(); ++i) gh.factor[i] *= h.factor[i];
    return gh;
  }
  template <class Scalar>
  static Element<Scalar> inverse(const Element<Scalar>& g) {
    Element<Scalar> inverted = g;
    for (Scalar& factor : inverted.factor) factor = Scalar(1) / factor;
    return inverted;
  }
  template <class Scalar, class Engine>
  static Element<Scalar> random(symopt::Shape shape, Engine& engine) {
    Element<Scalar> element = identity<Scalar>(shape);
    std::uniform_real_distribution<Scalar> factor(Scalar(0.5), Scalar(2));
    for (Scalar& entry : element.factor) entry = factor(engine);
    return element;
  }
  template <class Scalar>
  static std::vector<Element<Scalar>> generators(symopt::Shape shape) {
    std::vector<Element<Scalar>> elements;
    const Element<Scalar> one = identity<Scalar>(shape);
    for (std::size_t i = 0; i < one.factor.size(); ++i)
      for (const Scalar amount : {Scalar(2), Scalar(3)}) {  // their powers are dense in the positive numbers
        elements.push_back(one);
        elements.back().factor[i] = amount;
      }
    return elements;
  }
  template <class Scalar>
  static void act_on_weights(const Element<Scalar>& g,
                             std::type_identity_t<symopt::MatrixRef<Scalar>> block) {
    auto lines = symopt::lines_of<side>(block);
    for (std::size_t i = 0; i < g.factor.size(); ++i) lines.row(static_cast<symopt::Index>(i)) *= g.factor[i];
  }
  template <class Scalar>
  static void act_on_gradient(const Element<Scalar>& g,
                              std::type_identity_t<symopt::MatrixRef<Scalar>> block) {
    act_on_weights(inverse(g), block);
  }
  template <class Scalar>
  static void act_on_update(const Element<Scalar>& g, std::type_identity_t<symopt::MatrixRef<Scalar>> block) {
    act_on_weights(g, block);
  }
};

using RowScalings = Scalings<symopt::Side::left>;
using ColumnScalings = Scalings<symopt::Side::right>;

}  // namespace symopt_test
