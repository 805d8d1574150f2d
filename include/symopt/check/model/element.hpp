// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/check/motion.hpp>
#include <symopt/error.hpp>
#include <symopt/group/algebra/concept.hpp>

#include <functional>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace symopt { inline namespace SYMOPT_ABI { namespace check {

/// The elements that a symmetry of a model has: orthogonal ones, whose dual is themselves; translations,
/// which have none; or any invertible ones.
enum class ElementKind { isometry, translation, invertible };

/// One element g of a symmetry of a model, on a space of so many coordinates: how it moves data, and weights
/// that have these coordinates along one of their axes.
class ModelElement {
 public:
  /// An element by its action on blocks with a row for each coordinate: gW, and g^-T G for gradients.
  /// Translations leave gradients as they are.
  ModelElement(Index size, Motion motion, ElementKind kind = ElementKind::invertible)
      : size_(size), motion_(std::move(motion)), kind_(kind) {}

  /// The number of coordinates.
  Index size() const { return size_; }
  /// Tests whether differences keep their length.
  bool is_isometric() const { return kind_ != ElementKind::invertible; }

  /// Data with a row for each coordinate, moved: gX. Errors: Error for another number of rows.
  Matrix<double> operator()(const Matrix<double>& rows) const;
  /// Of a permutation the new place of each coordinate: row i of a block becomes row images()[i]; for a
  /// vocabulary the new number of each token. Errors: Error for an element that is no permutation.
  std::vector<Index> images() const;

  /// Weights and gradients with a row for each coordinate, moved. Dual weights move by g^-T, and so their
  /// gradients by g; a translation moves both kinds alike.
  ///@{
  WideMatrix on_weights(const WideMatrix& block, bool is_dual) const {
    return is_dual && kind_ != ElementKind::translation ? motion_.on_gradient(block)
                                                        : motion_.on_weights(block);
  }
  WideMatrix on_gradient(const WideMatrix& block, bool is_dual) const {
    return is_dual && kind_ != ElementKind::translation ? motion_.on_update(block)
                                                        : motion_.on_gradient(block);
  }
  ///@}

 private:
  Index size_;
  Motion motion_;
  ElementKind kind_;
};

namespace detail {

/// Where the elements of a symmetry come from.
struct ElementSource {
  std::string name;  ///< "Orthogonal<left>"
  Index size = 0;    ///< coordinates of the space
  ElementKind kind = ElementKind::isometry;
  std::function<Motion(Shape, std::mt19937_64&)> draw{};

  /// Elements that depend on the number of columns of a block.
  bool is_translation() const { return kind == ElementKind::translation; }
};

/// The element that moves nothing.
ModelElement unit_element(Index size);
/// The motion by a matrix, and by the transpose of its inverse for gradients.
Motion motion_of(algebra::Invertible<Wide> g);

/// The elements of a group that acts on rows.
template <SymmetryGroup Group>
ElementSource elements_of_group(Index size) {
  constexpr Families families = families_of<Group>;
  static_assert(
      !families.right.is_linear() && !families.right.translations,
      "the element of a model's symmetry moves the coordinates of one space: give a group that acts "
      "on the left, and name the rows and the columns that follow it");
  const auto group = std::make_shared<const ErasedGroup<Group>>();
  constexpr ElementKind kind = families.left.translations        ? ElementKind::translation
                               : families.left.positive_scalings ? ElementKind::invertible
                                                                 : ElementKind::isometry;
  return {group->name(), size, kind, [group](Shape shape, std::mt19937_64& engine) {
            const AnyGroup::Element g = group->random(shape, engine);
            return Motion{
                .name = group->name(),
                .on_weights = [group, g](const WideMatrix& block) { return group->on_weights(g, block); },
                .on_gradient = [group, g](const WideMatrix& block) { return group->on_gradient(g, block); },
                .on_update = [group, g](const WideMatrix& block) { return group->on_update(g, block); }};
          }};
}

/// Invertible elements of an algebra, or the positive ones alone.
template <class Algebra>
ElementSource elements_of_algebra(Index size, double condition, bool is_positive) {
  const ElementKind kind = condition == 1 ? ElementKind::isometry : ElementKind::invertible;
  return {symopt::detail::type_name<Algebra>(), size, kind, [=](Shape shape, std::mt19937_64& engine) {
            return motion_of(is_positive
                                 ? Algebra::template random_positive<Wide>(shape.rows, condition, engine)
                                 : Algebra::template random<Wide>(shape.rows, condition, engine));
          }};
}

}  // namespace detail

#ifdef SYMOPT_CHECK_DEFINITIONS
SYMOPT_CHECK_INLINE Matrix<double> ModelElement::operator()(const Matrix<double>& rows) const {
  symopt::detail::require(rows.rows() == size_, [&] {
    return "the element of a symmetry moves data of " + std::to_string(size_) + " rows, and these have " +
           std::to_string(rows.rows()) + "; give one row for each coordinate";
  });
  return detail::converted<double>(on_weights(detail::widened(rows), false));
}

SYMOPT_CHECK_INLINE std::vector<Index> ModelElement::images() const {
  WideMatrix numbers(size_, 1);
  for (Index i = 0; i < size_; ++i) numbers(i, 0) = static_cast<Wide>(i);
  const WideMatrix moved = on_weights(numbers, false);
  std::vector<Index> images(static_cast<std::size_t>(size_), -1);
  for (Index i = 0; i < size_; ++i) {
    const auto from = static_cast<Index>(std::llround(moved(i, 0)));
    const bool is_place = from >= 0 && from < size_ && static_cast<Wide>(from) == moved(i, 0);
    if (!is_place || images[static_cast<std::size_t>(from)] >= 0)
      throw Error(
          "the element of this symmetry is no permutation; move data by the element itself, as a function");
    images[static_cast<std::size_t>(from)] = i;
  }
  return images;
}

SYMOPT_CHECK_INLINE ModelElement detail::unit_element(Index size) {
  return {size,
          {.name = "identity", .on_weights = unmoved(), .on_gradient = unmoved(), .on_update = unmoved()},
          ElementKind::isometry};
}

SYMOPT_CHECK_INLINE Motion detail::motion_of(algebra::Invertible<Wide> g) {
  const auto by = [](WideMatrix matrix) -> Motion::Map {
    return [matrix = std::move(matrix)](const WideMatrix& block) {
      return symopt::detail::matrix_product(matrix, block);
    };
  };
  return {.name = "a matrix",
          .on_weights = by(g.matrix),
          .on_gradient = by(transpose(g.inverse)),
          .on_update = by(g.matrix)};
}
#endif

}}}  // namespace symopt::check
