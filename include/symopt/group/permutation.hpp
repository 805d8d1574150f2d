// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/group/concept.hpp>
#include <symopt/group/isometric_action.hpp>

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <numeric>
#include <utility>
#include <vector>

namespace symopt { inline namespace SYMOPT_ABI {

namespace detail {

/// A permutation of lines: line i becomes line image[i]. What makes them are templates, so that only who acts
/// by a group compiles them.
using Image = std::vector<Index>;

/// Every line stays.
Image identity_image(std::integral auto size) {
  Image image(static_cast<std::size_t>(size));
  std::iota(image.begin(), image.end(), Index(0));
  return image;
}

/// First h, then g.
Image compose_images(const std::same_as<Image> auto& g, const std::same_as<Image> auto& h) {
  Image image(h.size());
  std::transform(h.begin(), h.end(), image.begin(), [&](Index i) { return g[static_cast<std::size_t>(i)]; });
  return image;
}

/// Undoes g.
Image inverse_image(const std::same_as<Image> auto& g) {
  Image image(g.size());
  for (std::size_t i = 0; i < g.size(); ++i) image[static_cast<std::size_t>(g[i])] = static_cast<Index>(i);
  return image;
}

/// Moves row i of `lines` to row image[i].
inline void move_lines(const Image& image, auto& lines) {
  const auto before = lines.eval();
  for (std::size_t i = 0; i < image.size(); ++i) lines.row(image[i]) = before.row(static_cast<Index>(i));
}

/// The transpositions of neighbours: they generate all permutations.
std::vector<Image> adjacent_transpositions(std::integral auto size) {
  std::vector<Image> images;
  for (std::size_t i = 0; i + 1 < static_cast<std::size_t>(size); ++i) {
    images.push_back(identity_image(size));
    std::swap(images.back()[i], images.back()[i + 1]);
  }
  return images;
}

}  // namespace detail

/// All permutations of the rows (left) or the columns (right) of an m x n block.
/// Action: left W -> P W, right W -> W P^T; gradients and updates alike.
/// Families: permutations. Random element: uniform. Generators: exchanges of neighbours.
/// Cost of the action: one pass over the block; compose O(k).
template <Side side>
struct Permutation : IsometricAction<Permutation<side>, side> {
  static constexpr Families families = families_on(side, {.permutations = true});
  static constexpr bool takes_empty_blocks = true;  ///< it has elements for them

  template <class Scalar>
  struct Element {
    using scalar_type = Scalar;
    detail::Image image;
  };

  template <class Scalar>
  static Element<Scalar> identity(Shape shape) {
    return {detail::identity_image(extent(shape, side))};
  }
  template <class Scalar>
  static Element<Scalar> compose(const Element<Scalar>& g, const Element<Scalar>& h) {
    return {detail::compose_images(g.image, h.image)};
  }
  template <class Scalar>
  static Element<Scalar> inverse(const Element<Scalar>& g) {
    return {detail::inverse_image(g.image)};
  }
  template <class Scalar, RandomEngine Engine>
  static Element<Scalar> random(Shape shape, Engine& engine) {
    Element<Scalar> element = identity<Scalar>(shape);
    detail::shuffle(element.image, engine);
    return element;
  }
  template <class Scalar>
  static std::vector<Element<Scalar>> generators(Shape shape) {
    std::vector<Element<Scalar>> elements;
    for (auto& image : detail::adjacent_transpositions(extent(shape, side)))
      elements.push_back({std::move(image)});
    return elements;
  }
  template <class Scalar>
  static void act(const Element<Scalar>& g, auto& lines) {
    detail::move_lines(g.image, lines);
  }
};

/// S(m): the rows change places.
using RowPermutation = Permutation<Side::left>;
/// S(n): the columns change places.
using ColumnPermutation = Permutation<Side::right>;

}}  // namespace symopt
