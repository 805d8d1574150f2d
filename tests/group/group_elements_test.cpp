// SPDX-License-Identifier: Apache-2.0
#include "support/all_groups.hpp"
#include "support/group_list.hpp"
#include "support/group_samples.hpp"

#include <doctest/doctest.h>

namespace group_elements_test { namespace {

using namespace symopt_test;

double orthogonality_error(const Matrix<double>& a) {
  return (a * a.transpose() - Matrix<double>::Identity(a.rows(), a.cols())).cwiseAbs().maxCoeff();
}

bool has_one_unit_per_line(const Matrix<double>& a) {
  const Matrix<double> size = a.cwiseAbs();
  return ((size.array() == 0) || (size.array() == 1)).all() && (size.rowwise().sum().array() == 1).all() &&
         (size.colwise().sum().array() == 1).all();
}

/// One orthogonal block per row and column of blocks, zeros elsewhere.
bool is_block_monomial(const Matrix<double>& a, Index block, double tolerance) {
  const Index blocks = a.rows() / block;
  Matrix<double> occupied = Matrix<double>::Zero(blocks, blocks);
  for (Index i = 0; i < blocks; ++i)
    for (Index j = 0; j < blocks; ++j) {
      const Matrix<double> part = a.block(i * block, j * block, block, block);
      if (part.isZero(0)) continue;
      if (!(orthogonality_error(part) <= tolerance)) return false;
      occupied(i, j) = 1;
    }
  return has_one_unit_per_line(occupied);
}

/// Tests whether an element has the form that the families of its group allow.
bool belongs(const AnyGroup& group, const AnyGroup::Element& g, Index size) {
  const Matrix<double> a = matrix_of(group, g, size);
  const SideFamilies side =
      group.families().left == SideFamilies{} ? group.families().right : group.families().left;
  const double tolerance = 16 * static_cast<double>(group.unit());
  if (side.rotations) return orthogonality_error(a) <= tolerance;
  if (side.block_rotations > 0) return is_block_monomial(a, side.block_rotations, tolerance);
  if (side.signs) return has_one_unit_per_line(a);
  if (side.permutations) return has_one_unit_per_line(a) && (a.array() >= 0).all();
  return false;
}

/// A matrix on one side, whose form is known: no shifts, no scalings of a user's, no product.
bool is_linear_on_one_side(const NamedGroup& group) {
  const Families families = group.in_wide->families();
  const bool is_simple = group.list == GroupList::simple || group.name == "CyclicRows";
  return is_simple && (families.left.is_linear() || families.right.is_linear());
}

TEST_CASE("generators and random elements belong to their group") {
  CAPTURE(default_seed);
  int count = 0;
  for (const NamedGroup& group : groups()) {
    if (!is_linear_on_one_side(group)) continue;
    ++count;
    CAPTURE(group.name);
    for (const AnyGroup* any : {group.in_float.get(), group.in_double.get()}) {
      Random random(default_seed);
      constexpr Index size = 6;
      for (const auto& g : sample_elements(*any, {size, size}, random, 20)) CHECK(belongs(*any, g, size));
    }
  }
  CHECK(count == 13);
}

struct GaussianForOrthogonal : LeftOrthogonal {
  template <class Scalar>
  static Element<Scalar> random(Shape shape, auto& engine) {
    return {gaussian<Scalar>({shape.rows, shape.rows}, engine)};
  }
};
struct SignsInPermutation : SignedRowPermutation {
  static constexpr Families families = RowPermutation::families;
};
struct RotationsInHeads : LeftOrthogonal {
  static constexpr Families families = HeadRotations<Side::left, 2>::families;
};

TEST_CASE("an element from outside is not taken for a member") {
  CAPTURE(default_seed);
  Random random(default_seed);
  const auto all_belong = [&](const AnyGroup& group) {
    bool all = true;
    for (const auto& g : sample_elements(group, {6, 6}, random, 20)) all = all && belongs(group, g, 6);
    return all;
  };
  CHECK_FALSE(all_belong(ErasedGroup<GaussianForOrthogonal, double>()));
  CHECK_FALSE(all_belong(ErasedGroup<SignsInPermutation, double>()));
  CHECK_FALSE(all_belong(ErasedGroup<RotationsInHeads, double>()));
}

TEST_CASE("a random shift adds one line to all") {
  CAPTURE(default_seed);
  Random random(default_seed);
  const check::WideMatrix zero = check::WideMatrix::Zero(4, 3);
  const AnyGroup& rows = *group_of<SharedShift>().in_double;
  const AnyGroup& columns = *group_of<ColumnShift>().in_double;
  const check::WideMatrix shifted_rows = rows.on_weights(rows.random({4, 3}, random), zero);
  CHECK(shifted_rows.row(0).norm() > 0);
  CHECK(shifted_rows == shifted_rows.row(0).replicate(4, 1));
  const check::WideMatrix shifted_columns = columns.on_weights(columns.random({4, 3}, random), zero);
  CHECK(shifted_columns.col(0).norm() > 0);
  CHECK(shifted_columns == shifted_columns.col(0).replicate(1, 3));
}

}}  // namespace group_elements_test
