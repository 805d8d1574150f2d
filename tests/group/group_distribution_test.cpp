// SPDX-License-Identifier: Apache-2.0
// How random elements are distributed and what the generators reach.
#include "support/all_groups.hpp"
#include "support/group_list.hpp"
#include "support/group_samples.hpp"

#include <doctest/doctest.h>

#include <Eigen/Eigenvalues>
#include <Eigen/LU>

#include <functional>

namespace group_distribution_test { namespace {

using namespace symopt_test;

/// Means over many draws, in standard errors of the mean.
struct Moments {
  Matrix<double> first, second;
  int positive = 0, negative = 0;
};

constexpr int draws = 20000;

Moments moments_of(Index n, const std::function<Matrix<double>()>& draw) {
  Moments moments{Matrix<double>::Zero(n, n), Matrix<double>::Zero(n * n, n * n)};
  for (int k = 0; k < draws; ++k) {
    const Matrix<double> q = draw();
    const Eigen::Map<const Eigen::VectorXd> entries(q.data(), q.size());
    moments.first += q;
    moments.second += entries * entries.transpose();
    (q.determinant() > 0 ? moments.positive : moments.negative) += 1;
  }
  moments.first /= draws;
  moments.second /= draws;
  return moments;
}

/// The largest deviation from Haar: E q_ij = 0, E q_ij q_kl = delta_ik delta_jl / n, half of the determinants
/// of each sign; in standard errors.
double haar_deviation(Index n, const std::function<Matrix<double>()>& draw) {
  const Moments moments = moments_of(n, draw);
  const double size = static_cast<double>(n);
  const double root = std::sqrt(static_cast<double>(draws));
  const double first = moments.first.cwiseAbs().maxCoeff() * std::sqrt(size) * root;
  const Matrix<double> expected = Matrix<double>::Identity(n * n, n * n) / size;
  // E q^4 is 3 / (n (n + 2)), so no product has a larger variance.
  const double second =
      (moments.second - expected).cwiseAbs().maxCoeff() / std::sqrt(3 / (size * (size + 2))) * root;
  const double signs = std::abs(moments.positive - moments.negative) / root;
  return std::max({first, second, signs});
}

TEST_CASE("random orthogonal matrices have the first two moments of the Haar measure and both determinants") {
  constexpr Index n = 4;
  CAPTURE(default_seed);
  Random random(default_seed);
  const auto of_group = [&](const AnyGroup& group) {
    return haar_deviation(n, [&] { return matrix_of(group, group.random({n, n}, random), n); });
  };
  CHECK(of_group(*group_of<LeftOrthogonal>().in_double) <= 5);
  CHECK(of_group(*group_of<RightOrthogonal>().in_float) <= 5);
  CHECK(of_group(ErasedGroup<HeadRotations<Side::left, n>, float>()) <= 5);
  CHECK(of_group(ErasedGroup<HeadRotations<Side::right, n>, double>()) <= 5);
}

TEST_CASE("an orthogonal matrix whose signs the decomposition chose, or a rotation, is not Haar") {
  constexpr Index n = 4;
  CAPTURE(default_seed);
  Random random(default_seed);
  const auto unsigned_q = [&]() -> Matrix<double> {
    return Eigen::HouseholderQR<Matrix<double>>(gaussian_block({n, n}, random)).householderQ();
  };
  CHECK(haar_deviation(n, unsigned_q) > 10);
  const auto rotation = [&] {
    Matrix<double> q = haar_orthogonal<double>(n, random);
    if (q.determinant() < 0) q.row(0) *= -1;
    return q;
  };
  CHECK(haar_deviation(n, rotation) > 10);
}

TEST_CASE("random permutations are uniform and random signs fair") {
  constexpr Index n = 4;
  CAPTURE(default_seed);
  Random random(default_seed);
  const double standard_error = std::sqrt(1.0 / n * (1 - 1.0 / n) / draws);
  const auto check_uniform = [&](const AnyGroup& group, bool is_signed) {
    Matrix<double> mean = Matrix<double>::Zero(n, n);
    Matrix<double> occupied = Matrix<double>::Zero(n, n);
    for (int k = 0; k < draws; ++k) {
      const Matrix<double> a = matrix_of(group, group.random({n, n}, random), n);
      mean += a / draws;
      occupied += a.cwiseAbs() / draws;
    }
    CHECK((occupied.array() - 1.0 / n).abs().maxCoeff() <= 5 * standard_error);
    CHECK((mean.array() - (is_signed ? 0 : 1.0 / n)).abs().maxCoeff() <= 6 * standard_error);
  };
  check_uniform(*group_of<RowPermutation>().in_double, false);
  check_uniform(*group_of<ColumnPermutation>().in_float, false);
  check_uniform(*group_of<SignedRowPermutation>().in_double, true);
  check_uniform(*group_of<HeadRotations<Side::left, 1>>().in_double, true);
}

/// The dimension of the matrices that commute with A (x) A for all elements A given: a generating set leaves
/// no more of them than the whole group, and a proper subgroup leaves more.
int commuting_dimension(const AnyGroup& group, const std::vector<AnyGroup::Element>& elements, Index n) {
  const Index size = n * n;
  const Matrix<double> one = Matrix<double>::Identity(size, size);
  const auto kronecker = [](const Matrix<double>& a, const Matrix<double>& b) {
    Matrix<double> product(a.rows() * b.rows(), a.cols() * b.cols());
    for (Index i = 0; i < a.rows(); ++i)
      for (Index j = 0; j < a.cols(); ++j)
        product.block(i * b.rows(), j * b.cols(), b.rows(), b.cols()) = a(i, j) * b;
    return product;
  };
  Matrix<double> normal = Matrix<double>::Zero(size * size, size * size);
  for (const auto& g : elements) {
    const Matrix<double> a = matrix_of(group, g, n);
    const Matrix<double> square = kronecker(a, a);
    // vec(S X - X S) for orthogonal S: its squared norm is 2 |X|^2 - 2 <X, S X S^T>.
    const Matrix<double> conjugation = kronecker(square, square);
    normal += 2 * kronecker(one, one) - conjugation - conjugation.transpose();
  }
  const Eigen::SelfAdjointEigenSolver<Matrix<double>> solver(normal, Eigen::EigenvaluesOnly);
  return static_cast<int>((solver.eigenvalues().array() < 1e-9).count());
}

TEST_CASE("generators leave the same invariants as the whole group") {
  constexpr Index n = 3;
  CAPTURE(default_seed);
  Random random(default_seed);
  const auto check = [&](const AnyGroup& group, int expected, Index size) {
    CAPTURE(group.name());
    std::vector<AnyGroup::Element> many;
    for (int i = 0; i < 40; ++i) many.push_back(group.random({size, size}, random));
    CHECK(commuting_dimension(group, many, size) == expected);
    CHECK(commuting_dimension(group, group.generators({size, size}), size) == expected);
  };
  // Fourth powers of the trace, averaged: 3 for O(n), 4 for signed and 14 for plain permutations of three.
  check(*group_of<LeftOrthogonal>().in_double, 3, n);
  check(*group_of<RightOrthogonal>().in_double, 3, n);
  check(*group_of<HeadRotations<Side::left, 3>>().in_double, 3, n);
  check(*group_of<SignedRowPermutation>().in_double, 4, n);
  check(*group_of<SignedColumnPermutation>().in_double, 4, n);
  check(*group_of<HeadRotations<Side::right, 1>>().in_double, 4, n);
  check(*group_of<RowPermutation>().in_double, 14, n);
  check(*group_of<ColumnPermutation>().in_double, 14, n);
  check(*group_of<HeadRotations<Side::left, 2>>().in_double, 6, 4);

  // A reflection alone, or one swap alone, leaves more.
  const AnyGroup& orthogonal = *group_of<LeftOrthogonal>().in_double;
  CHECK(commuting_dimension(orthogonal, {orthogonal.generators({n, n}).back()}, n) > 3);
  const AnyGroup& permutations = *group_of<RowPermutation>().in_double;
  CHECK(commuting_dimension(permutations, {permutations.generators({n, n}).front()}, n) > 14);
}

}}  // namespace group_distribution_test
