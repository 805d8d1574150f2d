// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/derive/admissible.hpp>
#include <symopt/derive/default_normalization.hpp>
#include <symopt/derive/dual_norm.hpp>
#include <symopt/derive/then.hpp>
#include <symopt/error.hpp>

namespace symopt { inline namespace SYMOPT_ABI {

/// The update that a symmetry group derives: the map U = P o N o P from a momentum (or gradient) to a
/// direction, with P the horizontal projection of the group's shifts and N the normalization, a stage
/// or several, with P again wherever a stage can leave the horizontal space. Pure: no state.
///
/// Shapes: m x n in, m x n out, float or double. Units: those of the normalization (a row norm or polar
/// factor is dimensionless: the learning rate is then the length of a row or a singular value of the step).
/// Equivariant under Group, checked at compile time; 1^T U = 0 for every input under a shared shift.
/// Cost: the sum of the stages'; see the headers of normalization/.
/// Errors: at compile time, a normalization that Group does not allow; std::invalid_argument for options
/// out of range and for a direction of another shape.
/// Source: arXiv 2605.18106; docs/derivation.md.
template <class Group, class Normalization = default_normalization_t<Group>>
class Update : detail::RequireAdmissible<Group, Normalization> {
  using Projection = horizontal_projection_t<Group>;
  using Stages = decltype(detail::make_pipeline<Projection>(std::declval<const Normalization&>()));

 public:
  using group = Group;                       ///< what the update is equivariant under
  using normalization_type = Normalization;  ///< N
  static constexpr Families families = families_of<Group>;

  /// All memory that the update works in, from the shape of the block.
  template <class Scalar>
  using Workspace = typename Stages::template Workspace<Scalar>;

  /// The update with the options of its normalization. Errors: std::invalid_argument for one out of range.
  Update(Normalization normalization = {})
      : normalization_(std::move(normalization)),
        stages_(detail::make_pipeline<Projection>(detail::validated(normalization_))) {}

  /// N, with its options.
  const Normalization& normalization() const { return normalization_; }

  /// The direction for `momentum`, any dense Eigen expression, as a new matrix.
  template <class Derived>
  Matrix<typename Derived::Scalar> operator()(const Eigen::MatrixBase<Derived>& momentum) const {
    return applied(*this, momentum);
  }

  /// Writes the direction into `direction`: writable memory of the same shape in either storage order,
  /// which may be the momentum itself.
  template <class Derived, class Direction>
  void operator()(const Eigen::MatrixBase<Derived>& momentum, Direction&& direction) const {
    using Scalar = typename Derived::Scalar;
    static_assert(detail::is_writable_memory_v<Direction>,
                  "the direction must be memory to write into: a Matrix, Map, Ref or Block");
    static_assert(std::same_as<Scalar, typename std::remove_cvref_t<Direction>::Scalar>,
                  "momentum and direction must have the same scalar");
    if (detail::shape_of(direction) != detail::shape_of(momentum))
      throw Error("the direction is " + to_string(detail::shape_of(direction)) + " but the momentum is " +
                  to_string(detail::shape_of(momentum)) +
                  "; give the update a direction of the momentum's shape");
    if (direction.innerStride() == 1) {
      direction = momentum;
      Workspace<Scalar> workspace(detail::shape_of(momentum));
      detail::apply_in_place(*this, direction, workspace);
    } else {
      direction = (*this)(momentum);
    }
  }

  /// block <- direction, in place, without allocation.
  template <class Scalar>
  void apply(MatrixRef<Scalar> block, auto& workspace) const {
    stages_.template apply<Scalar>(block, workspace);
  }

  /// The pipeline that the group derived.
  const Stages& stages() const { return stages_; }

  /// The update of the transposed block: mirrored()(X^T) = (*this)(X)^T.
  auto mirrored() const { return stages_.mirrored(); }

 private:
  Normalization normalization_;
  Stages stages_;
};

}}  // namespace symopt
