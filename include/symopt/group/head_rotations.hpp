// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/error.hpp>
#include <symopt/group/haar.hpp>
#include <symopt/group/matrix_product.hpp>
#include <symopt/group/permutation.hpp>

namespace symopt { inline namespace SYMOPT_ABI {

/// An orthogonal matrix in each head, and exchanges of heads. A head is `head_size` consecutive rows
/// (left: query, key and value matrices) or columns (right: the output matrix) of an m x n block.
/// Action: within each head W_h -> Q_h W_h (left), then heads change places; gradients and updates
/// alike.
/// Families: block rotations and block permutations; for heads of size 1, signs and permutations.
/// Random element: Haar in each head, uniform order of heads. Generators: the rotations of the first
/// head and the exchanges of neighbouring heads (which carry them to the others).
/// Cost of the action: 2 head_size m n flops.
/// Errors: std::invalid_argument when the number of lines is not a multiple of head_size.
template <Side side, int head_size>
struct HeadRotations : IsometricAction<HeadRotations<side, head_size>, side> {
  static_assert(head_size > 0, "a head has at least one row or column");
  static constexpr Families families = families_on(
      side, head_size == 1 ? SideFamilies{.permutations = true, .signs = true}
                           : SideFamilies{.block_rotations = head_size, .block_permutations = head_size});
  static constexpr bool takes_empty_blocks = true;  ///< it has elements for them

  /// Head h is multiplied by rotation[h] and becomes head image[h].
  template <class Scalar>
  struct Element {
    using scalar_type = Scalar;
    detail::Image image;
    std::vector<Matrix<Scalar>> rotation;
  };

  template <class Scalar>
  static Element<Scalar> identity(Shape shape) {
    const Index heads = head_count(shape);
    return {detail::identity_image(heads),
            std::vector<Matrix<Scalar>>(static_cast<std::size_t>(heads),
                                        Matrix<Scalar>::Identity(head_size, head_size))};
  }
  template <class Scalar>
  static Element<Scalar> compose(const Element<Scalar>& g, const Element<Scalar>& h) {
    Element<Scalar> gh{detail::compose_images(g.image, h.image), h.rotation};
    for (std::size_t i = 0; i < h.image.size(); ++i)
      gh.rotation[i] =
          detail::matrix_product(g.rotation[static_cast<std::size_t>(h.image[i])], h.rotation[i]);
    return gh;
  }
  template <class Scalar>
  static Element<Scalar> inverse(const Element<Scalar>& g) {
    Element<Scalar> inverted{detail::inverse_image(g.image), g.rotation};
    for (std::size_t i = 0; i < g.image.size(); ++i)
      inverted.rotation[static_cast<std::size_t>(g.image[i])] = g.rotation[i].transpose();
    return inverted;
  }
  template <class Scalar, RandomEngine Engine>
  static Element<Scalar> random(Shape shape, Engine& engine) {
    Element<Scalar> element = identity<Scalar>(shape);
    detail::shuffle(element.image, engine);
    for (auto& rotation : element.rotation) rotation = haar_orthogonal<Scalar>(head_size, engine);
    return element;
  }
  template <class Scalar>
  static std::vector<Element<Scalar>> generators(Shape shape) {
    std::vector<Element<Scalar>> elements;
    const Element<Scalar> one = identity<Scalar>(shape);
    if (one.image.empty()) return elements;
    for (auto& rotation : detail::orthogonal_generators<Scalar>(head_size)) {
      elements.push_back(one);
      elements.back().rotation.front() = std::move(rotation);
    }
    for (auto& image : detail::adjacent_transpositions(head_count(shape)))
      elements.push_back({std::move(image), one.rotation});
    return elements;
  }
  template <class Scalar>
  static void act(const Element<Scalar>& g, auto& lines) {
    const auto before = lines.eval();
    for (std::size_t h = 0; h < g.image.size(); ++h)
      lines.middleRows(g.image[h] * head_size, head_size) = detail::matrix_product<Scalar>(
          g.rotation[h], before.middleRows(static_cast<Index>(h) * head_size, head_size));
  }

 private:
  static Index head_count(Shape shape) {
    const Index lines = extent(shape, side);
    if (lines % head_size != 0)
      throw Error("HeadRotations with heads of " + std::to_string(head_size) + " do not fit a block of " +
                  to_string(shape) + "; the number of " + (side == Side::left ? "rows" : "columns") +
                  " must be a multiple of the head size");
    return lines / head_size;
  }
};

}}  // namespace symopt
