// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/group/permutation.hpp>

namespace symopt { inline namespace SYMOPT_ABI {

/// All permutations with changes of sign of the rows (left) or the columns (right) of an m x n block:
/// the symmetries of the coordinate axes, and the largest group of a row norm on the left.
/// Action: left W -> D P W, right W -> W (D P)^T; gradients and updates alike.
/// Families: permutations and signs. Random element: uniform. Generators: exchanges of neighbours and one
/// change of sign. Cost of the action: one pass over the block; compose O(k).
template <Side side>
struct SignedPermutation : IsometricAction<SignedPermutation<side>, side> {
  static constexpr Families families = families_on(side, {.permutations = true, .signs = true});
  static constexpr bool takes_empty_blocks = true;  ///< it has elements for them

  /// Line i becomes line image[i], multiplied by sign[image[i]].
  template <class Scalar>
  struct Element {
    using scalar_type = Scalar;
    detail::Image image;
    std::vector<Scalar> sign;
  };

  template <class Scalar>
  static Element<Scalar> identity(Shape shape) {
    const Index size = extent(shape, side);
    return {detail::identity_image(size), std::vector<Scalar>(static_cast<std::size_t>(size), Scalar(1))};
  }
  template <class Scalar>
  static Element<Scalar> compose(const Element<Scalar>& g, const Element<Scalar>& h) {
    Element<Scalar> gh{detail::compose_images(g.image, h.image), g.sign};
    for (std::size_t i = 0; i < h.image.size(); ++i)
      gh.sign[static_cast<std::size_t>(g.image[i])] *= h.sign[i];
    return gh;
  }
  template <class Scalar>
  static Element<Scalar> inverse(const Element<Scalar>& g) {
    Element<Scalar> inverted{detail::inverse_image(g.image), g.sign};
    for (std::size_t i = 0; i < g.image.size(); ++i)
      inverted.sign[i] = g.sign[static_cast<std::size_t>(g.image[i])];
    return inverted;
  }
  template <class Scalar, RandomEngine Engine>
  static Element<Scalar> random(Shape shape, Engine& engine) {
    Element<Scalar> element = identity<Scalar>(shape);
    detail::shuffle(element.image, engine);
    for (Scalar& sign : element.sign) sign = uniform_number(engine) < 0.5 ? Scalar(1) : Scalar(-1);
    return element;
  }
  template <class Scalar>
  static std::vector<Element<Scalar>> generators(Shape shape) {
    std::vector<Element<Scalar>> elements;
    const Element<Scalar> one = identity<Scalar>(shape);
    for (auto& image : detail::adjacent_transpositions(extent(shape, side)))
      elements.push_back({std::move(image), one.sign});
    if (!one.sign.empty()) {
      elements.push_back(one);
      elements.back().sign.front() = Scalar(-1);
    }
    return elements;
  }
  template <class Scalar>
  static void act(const Element<Scalar>& g, auto& lines) {
    detail::move_lines(g.image, lines);
    for (std::size_t i = 0; i < g.sign.size(); ++i) lines.row(static_cast<Index>(i)) *= g.sign[i];
  }
};

/// B(m): rows change places and signs.
using SignedRowPermutation = SignedPermutation<Side::left>;
/// B(n): columns change places and signs.
using SignedColumnPermutation = SignedPermutation<Side::right>;

}}  // namespace symopt
