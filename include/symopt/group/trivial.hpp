// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/group/concept.hpp>
#include <symopt/group/isometric_action.hpp>

namespace symopt { inline namespace SYMOPT_ABI {

/// The group of one element.
/// Action: none. Families: none. Generators: none. Cost: none.
struct Trivial : IsometricAction<Trivial, Side::left> {
  static constexpr Families families{};
  static constexpr bool takes_empty_blocks = true;  ///< it has elements for them

  template <class Scalar>
  struct Element {
    using scalar_type = Scalar;
  };

  template <class Scalar>
  static Element<Scalar> identity(Shape) {
    return {};
  }
  template <class Scalar>
  static Element<Scalar> compose(const Element<Scalar>&, const Element<Scalar>&) {
    return {};
  }
  template <class Scalar>
  static Element<Scalar> inverse(const Element<Scalar>&) {
    return {};
  }
  template <class Scalar, RandomEngine Engine>
  static Element<Scalar> random(Shape, Engine&) {
    return {};
  }
  template <class Scalar>
  static std::vector<Element<Scalar>> generators(Shape) {
    return {};
  }
  template <class Scalar>
  static void act(const Element<Scalar>&, auto&) {}
};

}}  // namespace symopt
