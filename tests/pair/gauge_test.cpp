// SPDX-License-Identifier: Apache-2.0
// The algebras, and the groups of pairs that they make.
#include "support/pair_groups.hpp"

#include <doctest/doctest.h>

#include <algorithm>

namespace gauge_test { namespace {

using namespace symopt_test;

constexpr double tolerance = 1e-9;
constexpr PairShape shapes[] = {{6, 7, 4}, {2, 2, 2}, {12, 9, 8}};

Matrix<double> projected(auto algebra, Matrix<double> square) {
  decltype(algebra)::template project<double>(square);
  return square;
}

#define SYMOPT_ALGEBRAS                                                                           \
  algebra::Full, algebra::Planes<>, algebra::Planes<algebra::Pairing::halves>, algebra::Diagonal, \
      algebra::Scalars, SquareBlocks

TEST_CASE_TEMPLATE("the projection is that onto an algebra with all transposes", A, SYMOPT_ALGEBRAS) {
  CAPTURE(default_seed);
  Random random(default_seed);
  for (const Index size : {2, 4, 8}) {
    CAPTURE(size);
    const Matrix<double> s = gaussian_block({size, size}, random), t = gaussian_block({size, size}, random);
    const Matrix<double> a = symopt::detail::random_invertible<A, double>(size, 1e3, random).matrix;
    const Matrix<double> b = symopt::detail::random_invertible<A, double>(size, 1e3, random).matrix;
    const Matrix<double> one = Matrix<double>::Identity(size, size);
    const Matrix<double> inverse = symopt::detail::inverse_of(a);
    CHECK(relative_error(projected(A{}, projected(A{}, s)), projected(A{}, s)) <= tolerance);
    CHECK(relative_error(projected(A{}, a * s * b), a * projected(A{}, s) * b) <= tolerance);
    CHECK(relative_error(projected(A{}, s.transpose()), projected(A{}, s).transpose()) <= tolerance);
    CHECK(std::abs((projected(A{}, s).cwiseProduct(t) - s.cwiseProduct(projected(A{}, t))).sum()) <=
          tolerance * s.norm() * t.norm());
    CHECK(relative_error(projected(A{}, one), one) == 0);
    CHECK(relative_error(projected(A{}, a * b), a * b) <= tolerance);
    CHECK(relative_error(projected(A{}, inverse), inverse) <= tolerance);
  }
}

TEST_CASE_TEMPLATE(
    "the factor of a positive element lies in the algebra, and its inverse is applied from the right", A,
    SYMOPT_ALGEBRAS) {
  CAPTURE(default_seed);
  Random random(default_seed);
  for (const Index size : {2, 4, 8}) {
    const Matrix<double> a = symopt::detail::random_invertible<A, double>(size, 30, random).matrix;
    const Matrix<double> positive = a.transpose() * a, lines = gaussian_block({5, size}, random);
    Matrix<double> factor = positive;
    REQUIRE(A::template factor<double>(factor));
    CHECK(relative_error(factor.transpose() * factor, positive) <= tolerance);
    CHECK(relative_error(projected(A{}, factor), factor) <= tolerance);
    if constexpr (requires(Matrix<double> x) { A::template divide<double>(factor, x); }) {
      Matrix<double> divided = lines;
      A::template divide<double>(factor, divided);
      CHECK(relative_error(divided * factor, lines) <= tolerance);
      divided = lines;
      A::template divide_by_transpose<double>(factor, divided);
      CHECK(relative_error(divided * factor.transpose(), lines) <= tolerance);
    }
    Matrix<double> negative = -positive;
    CHECK(!A::template factor<double>(negative));
  }
}

TEST_CASE_TEMPLATE("elements are drawn with their inverses, up to the condition that was asked for", A,
                   SYMOPT_ALGEBRAS) {
  CAPTURE(default_seed);
  Random random(default_seed);
  for (const double condition : {1.0, 30.0, 1e3}) {
    CAPTURE(condition);
    const auto g = symopt::detail::random_invertible<A, double>(8, condition, random);
    const Matrix<double> one = Matrix<double>::Identity(8, 8);
    CHECK(relative_error(g.matrix * g.inverse, one) <= 1e-12 * condition);
    CHECK(relative_error(projected(A{}, g.matrix), g.matrix) <= tolerance);
    // The squared Frobenius norms bound the condition from above and, over r, from below.
    CHECK(g.matrix.norm() * g.inverse.norm() <= 8.001 * condition);
    if constexpr (requires { A::template random_positive<double>(8, condition, random); }) {
      const auto positive = A::template random_positive<double>(8, condition, random);
      Matrix<double> factor = positive.matrix;
      CHECK(relative_error(positive.matrix, positive.matrix.transpose()) <= 1e-14);
      CHECK(A::template factor<double>(factor));
      CHECK(relative_error(positive.matrix * positive.inverse, one) <= 1e-12 * condition);
    }
  }
}

/// The largest singular value, by power iteration.
double spectral_norm(const Matrix<double>& square) {
  Matrix<double> x = Matrix<double>::Ones(square.cols(), 1);
  double length = 0;
  for (int k = 0; k < 200; ++k) {
    x = square.transpose() * (square * x);
    length = x.norm();
    x /= length;
  }
  return std::sqrt(length);
}

TEST_CASE_TEMPLATE("all matrices, planes and diagonals reach the condition that was asked for", A,
                   algebra::Full, algebra::Planes<>, algebra::Diagonal) {
  Random random(default_seed);
  for (const double condition : {1e3, 30.0})
    for (const auto& g : {A::template random<double>(6, condition, random),
                          A::template random_positive<double>(6, condition, random)})
      CHECK(spectral_norm(g.matrix) * spectral_norm(g.inverse) == doctest::Approx(condition).epsilon(1e-4));
}

TEST_CASE("planes take even numbers of columns, and say so") {
  Random random(default_seed);
  CHECK_THROWS_WITH_AS(
      algebra::Planes<>::random<double>(3, 10, random),
      doctest::Contains("the planes of rotary positions take two columns each, and 3 is odd"), Error);
}

#define SYMOPT_PAIR_GROUPS LoraPair, QueryKey, QueryKeyHalves, NeuronPair, ScalarPair, RowAwarePair, UsersPair

TEST_CASE_TEMPLATE("a gauge is a group, acts as one, and its product is that of the outer groups alone",
                   Group, SYMOPT_PAIR_GROUPS) {
  CAPTURE(default_seed);
  Random random(default_seed);
  for (const PairShape& shape : shapes) {
    CAPTURE(to_string(shape));
    const auto g = Group::template random<double>(shape, random),
               h = Group::template random<double>(shape, random);
    const Pair pair = random_pair(shape, random);
    const auto error = [](const Pair& x, const Pair& y) {
      return std::max({relative_error(x.a, y.a), relative_error(x.b, y.b),
                       relative_error(x.gradient_a, y.gradient_a),
                       relative_error(x.gradient_b, y.gradient_b)});
    };
    CHECK(error(moved<Group>(Group::compose(g, h), pair), moved<Group>(g, moved<Group>(h, pair))) <=
          tolerance);
    CHECK(error(moved<Group>(Group::inverse(g), moved<Group>(g, pair)), pair) <= tolerance);
    CHECK(error(moved<Group>(Group::template identity<double>(shape), pair), pair) == 0);

    // <g_* G, g U> = <G, U>
    const Pair after = moved<Group>(g, pair);
    Matrix<double> u_a = gaussian_block(shape.a(), random), u_b = gaussian_block(shape.b(), random);
    const double before =
        (pair.gradient_a.cwiseProduct(u_a)).sum() + (pair.gradient_b.cwiseProduct(u_b)).sum();
    const double scale = pair.gradient_a.norm() * u_a.norm() + pair.gradient_b.norm() * u_b.norm();
    Group::act_on_update(g, u_a, u_b);
    const double now =
        (after.gradient_a.cwiseProduct(u_a)).sum() + (after.gradient_b.cwiseProduct(u_b)).sum();
    CHECK(std::abs(now - before) <= tolerance * scale);

    // A B^T moves by the outer groups alone.
    Matrix<double> product = pair.a * pair.b.transpose();
    Group::outer_of_a::act_on_update(g.outer_a, product);
    Matrix<double> turned = product.transpose();
    Group::outer_of_b::act_on_update(g.outer_b, turned);
    CHECK(relative_error(after.a * after.b.transpose(), turned.transpose()) <= tolerance);

    for (const auto& generator : Group::template generators<double>(shape))
      CHECK(error(moved<Group>(Group::inverse(generator), moved<Group>(generator, pair)), pair) <= tolerance);
  }
}

TEST_CASE("a gradient that moves like the weights is no gradient: the pairing breaks") {
  Random random(default_seed);
  const PairShape shape{6, 7, 4};
  auto g = LoraPair::identity<double>(shape);
  g.gauge = algebra::Full::random<double>(shape.rank, 1e3, random);
  const Pair pair = random_pair(shape, random);
  Matrix<double> g_a = pair.gradient_a, g_b = pair.gradient_b, u_a = pair.a, u_b = pair.b;
  LoraPair::act_on_update(g, u_a, u_b);
  LoraPair::act_on_update(g, g_a, g_b);  // the liar
  const double before =
      pair.gradient_a.cwiseProduct(pair.a).sum() + pair.gradient_b.cwiseProduct(pair.b).sum();
  CHECK(std::abs(g_a.cwiseProduct(u_a).sum() + g_b.cwiseProduct(u_b).sum() - before) >
        1e-2 * std::abs(before));
}

}}  // namespace gauge_test
