// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "support/equivariance.hpp"

#include <symopt/update/update.hpp>

#include <doctest/doctest.h>

// What is asserted of the derived update of every group: equivariance under the group (E), horizontal
// gradients give horizontal updates (H), and a shift of the gradient changes nothing (I).
namespace symopt_test {

/// The default update of a group in one scalar, its types hidden.
struct NamedUpdate {
  Map map;
  double unit = 0;
};

template <class G, class Scalar>
NamedUpdate default_update() {
  return {[](const Matrix<double>& block) -> Matrix<double> {
            const symopt::Update<G> update;
            return update(block.template cast<Scalar>()).template cast<double>();
          },
          roundoff<Scalar>};
}

/// The largest entry of 1^T U (left) or U 1 (right) relative to the update.
inline double vertical_part(const Matrix<double>& update, Side side) {
  return error_on_scale(centred(update, side), update, update.stableNorm());
}

inline void check_equivariance(const AnyGroup& group, const NamedUpdate& update, Shape shape,
                               Random& random) {
  const auto motions = motions_of(group, shape, random);
  const auto usual =
      try_equivariance(update.map, motions, well_conditioned_inputs(shape, random), random, update.unit);
  INFO("worst: ", usual.where);
  CHECK(usual.worst <= 1);
  CHECK(usual.ill_posed == 0);
  const auto hard = try_equivariance(update.map, motions, hard_inputs(shape, random), random, update.unit);
  INFO("worst of the hard ones: ", hard.where);
  CHECK(hard.worst <= 1);
}

/// H and I, and 1^T U = 0 for every gradient, for the shift along `side`.
inline void check_shift(const NamedUpdate& update, Side side, Shape shape, Random& random) {
  CAPTURE(to_string(side));
  const double tolerance = 64 * update.unit;
  for (const Input& input : all_inputs(shape, random)) {
    CAPTURE(input.name);
    const Matrix<double> result = update.map(input.value);
    CHECK(result.allFinite());
    CHECK(vertical_part(result, side) * result.stableNorm() <=
          tolerance * std::max(result.stableNorm(), input.value.stableNorm()));
  }
  for (const Input& input : well_conditioned_inputs(shape, random)) {
    CAPTURE(input.name);
    const Matrix<double> horizontal = update.map(centred(input.value, side));
    CHECK(vertical_part(horizontal, side) <= tolerance);
    CHECK(horizontal.norm() > 1e-3);

    const Matrix<double> result = update.map(input.value);
    const Matrix<double> line = side == Side::left
                                    ? gaussian_block({1, shape.cols}, random).replicate(shape.rows, 1)
                                    : gaussian_block({shape.rows, 1}, random).replicate(1, shape.cols);
    const Matrix<double> shifted = input.value + line;
    const double change = rounding_change(update.map, shifted, update.map(shifted), update.unit, 4, random);
    CHECK(error_on_scale(update.map(shifted), result, change + update.unit * result.norm()) <= 64);
  }
}

inline void check_update(const AnyGroup& group, const NamedUpdate& update) {
  CAPTURE(group.name());
  CAPTURE(update.unit);
  CAPTURE(default_seed);
  Random random(default_seed);
  for (const Shape shape : std::initializer_list<Shape>{{6, 6}, {12, 6}, {6, 12}, {1, 1}, {1, 6}, {6, 1}}) {
    if (!group.fits(shape)) continue;
    CAPTURE(symopt::to_string(shape));
    const Matrix<double> zero = Matrix<double>::Zero(shape.rows, shape.cols);
    CHECK(update.map(zero) == zero);
    if (shape.rows == 1 || shape.cols == 1) {
      CHECK(update.map(gaussian_block(shape, random)).allFinite());
      continue;
    }
    check_equivariance(group, update, shape, random);
    if (group.families().left.translations) check_shift(update, Side::left, shape, random);
    if (group.families().right.translations) check_shift(update, Side::right, shape, random);
  }
}

}  // namespace symopt_test
