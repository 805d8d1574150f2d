// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "support/error.hpp"

#include <symopt/check/laws/equivariance.hpp>
#include <symopt/check/laws/shift.hpp>

#include <doctest/doctest.h>

#include <symopt/check/doctest.hpp>

// What is asserted of the derived update of every group: equivariance under the group (E), horizontal
// gradients give horizontal updates (H), and a shift of the gradient changes nothing (I).
namespace symopt_test {

inline void check_update(const symopt::check::AnyGroup& group, const symopt::check::AnyRule& update) {
  using namespace symopt::check;
  const symopt::Families families = group.families();
  const bool has_shift = families.left.translations || families.right.translations;
  // Blocks of 2 and 3 lines fill every side.
  const CheckOptions options{.trials = 12, .shapes = {{1, 1}, {1, 6}, {6, 1}, {6, 6}, {12, 6}, {6, 12}}};
  // Where gradients do not move, equivariance says nothing, and the check says so.
  const bool moves_gradients = families.left.is_linear() || families.right.is_linear();
  SYMOPT_CHECK_VERDICT(moves_gradients ? Verdict::holds : Verdict::vacuous,
                       check_equivariance(group, update, options));
  if (!has_shift) return;
  SYMOPT_CHECK(check_horizontal(group, update, options));
  SYMOPT_CHECK(check_shift_invariant(group, update, options));
}

/// A zero or empty block has a zero update.
inline void check_zero(const symopt::check::AnyRule& update) {
  for (const Shape shape : {Shape{6, 6}, Shape{0, 6}, Shape{6, 0}}) {
    if (update.in_double) {
      const Matrix<double> zero = Matrix<double>::Zero(shape.rows, shape.cols);
      CHECK(update.in_double(zero, zero) == zero);
    } else {
      const Matrix<float> zero = Matrix<float>::Zero(shape.rows, shape.cols);
      CHECK(update.in_float(zero, zero) == zero);
    }
  }
}

}  // namespace symopt_test
