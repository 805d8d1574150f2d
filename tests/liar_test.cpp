// SPDX-License-Identifier: Apache-2.0
// Rules that look equivariant and are not. The checks that the suites rely on must catch every one.
#include "support/any_group.hpp"
#include "support/group_list.hpp"
#include "support/update_suite.hpp"

#include <symopt/symopt.hpp>

#include <doctest/doctest.h>

#include <Eigen/SVD>

namespace {

using namespace symopt;
using namespace symopt_test;

constexpr Shape shape{6, 4};

/// True when the rule passes for equivariant under the group of the updates.
bool passes(const AnyGroup& group, const Map& map) {
  Random random(default_seed);
  const auto verdict =
      try_equivariance(map, motions_of(group, shape, random), all_inputs(shape, random), random);
  return verdict.worst <= 1;
}

const ErasedGroup<BiOrthogonal, double> rotations;
const ErasedGroup<Product<SignedRowPermutation, SignedColumnPermutation>, double> signed_permutations;
const ErasedGroup<RowPermutation, double> row_permutations;

TEST_CASE("honest rules pass where the liars below are caught") {
  CAPTURE(default_seed);
  CHECK(passes(rotations, [](const Matrix<double>& x) { return Spectral<>{}(x); }));
  CHECK(passes(rotations, [](const Matrix<double>& x) { return Spectral<polar::Exact>{}(x); }));
  CHECK(passes(signed_permutations, [](const Matrix<double>& x) { return Sign{}(x); }));
  CHECK(passes(row_permutations, [](const Matrix<double>& x) { return RowNorm{}(x); }));
}

TEST_CASE("a polar factor completed to an orthogonal matrix is caught") {
  CHECK_FALSE(passes(rotations, [](const Matrix<double>& x) -> Matrix<double> {
    const Eigen::JacobiSVD<Eigen::MatrixXd> svd(x, Eigen::ComputeThinU | Eigen::ComputeThinV);
    return svd.matrixU() * svd.matrixV().transpose();
  }));
}

TEST_CASE("a norm by power iteration from a fixed vector is caught") {
  CHECK_FALSE(passes(rotations, [](const Matrix<double>& x) -> Matrix<double> {
    Eigen::VectorXd v = Eigen::VectorXd::Unit(x.cols(), 0);
    for (int i = 0; i < 3; ++i) v = (x.transpose() * (x * v)).normalized();
    return x / ((x * v).norm() + 1e-300);
  }));
}

TEST_CASE("a sign of zero that is one is caught") {
  CHECK_FALSE(passes(signed_permutations, [](const Matrix<double>& x) -> Matrix<double> {
    return x.unaryExpr([](double entry) { return entry < 0 ? -1.0 : 1.0; });
  }));
}

TEST_CASE("a scale that depends on the row's number is caught") {
  CHECK_FALSE(passes(row_permutations, [](const Matrix<double>& x) -> Matrix<double> {
    return Eigen::VectorXd::LinSpaced(x.rows(), 1, 2).asDiagonal() * x;
  }));
}

TEST_CASE("keeping the longest rows, ties broken by their number, is caught") {
  const Map keep_longest = [](const Matrix<double>& x) -> Matrix<double> {
    Matrix<double> kept = Matrix<double>::Zero(x.rows(), x.cols());
    Index longest = 0;
    x.rowwise().squaredNorm().maxCoeff(&longest);
    kept.row(longest) = x.row(longest);
    return kept;
  };
  // A tie is decided by rounding, so only inputs without rounding tell.
  Random random(default_seed);
  CAPTURE(default_seed);
  const auto motions = motions_of(row_permutations, shape, random);
  CHECK(integer_error(keep_longest, motions, shape, random) > 1e-2);
  CHECK(integer_error([](const Matrix<double>& x) { return RowNorm{}(x); }, motions, shape, random) <= 1e-15);
}

TEST_CASE("an output that is not a number is caught") {
  CHECK_FALSE(passes(rotations, [](const Matrix<double>& x) -> Matrix<double> {
    return Matrix<double>::Constant(x.rows(), x.cols(), std::numeric_limits<double>::quiet_NaN());
  }));
}

TEST_CASE("an entrywise rule is caught under rotations, and a rotated gradient under scalings") {
  CHECK_FALSE(passes(rotations, [](const Matrix<double>& x) { return Sign{}(x); }));
  const ErasedGroup<RowScalings, double> scalings;
  CHECK_FALSE(passes(scalings, [](const Matrix<double>& x) { return Identity{}(x); }));
  CHECK_FALSE(passes(scalings, [](const Matrix<double>& x) { return Spectral<>{}(x); }));
}

/// The largest part of an update that is not horizontal, and its largest change under a shift.
std::pair<double, double> shift_errors(const Map& map) {
  Random random(default_seed);
  const Matrix<double> gradient = gaussian_block(shape, random);
  const Matrix<double> line = gaussian_block({1, shape.cols}, random).replicate(shape.rows, 1);
  const Matrix<double> update = map(gradient);
  return {vertical_part(update, Side::left), relative_error(map(gradient + line), update)};
}

TEST_CASE("a row norm without the last or the first centring is not horizontal or not shift-invariant") {
  const HorizontalProjection<Side::left> project;
  const HorizontalProjection<Side::right> wrong_axis;
  const RowNorm normalize;
  const auto [vertical, change] =
      shift_errors([&](const Matrix<double>& x) { return project(normalize(project(x))); });
  CHECK(vertical <= 1e-14);
  CHECK(change <= 1e-14);
  CHECK(shift_errors([&](const Matrix<double>& x) { return normalize(project(x)); }).first > 1e-2);
  CHECK(shift_errors([&](const Matrix<double>& x) { return project(normalize(x)); }).second > 1e-2);
  CHECK(shift_errors([&](const Matrix<double>& x) { return wrong_axis(normalize(wrong_axis(x))); }).first >
        1e-2);
  CHECK(shift_errors([&](const Matrix<double>& x) { return wrong_axis(normalize(wrong_axis(x))); }).second >
        1e-2);
}

}  // namespace
