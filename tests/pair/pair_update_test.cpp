// SPDX-License-Identifier: Apache-2.0
// The updates of pairs: what docs/pairs.md says of them, line by line, in double to 1e-9.
#include "support/pair_groups.hpp"

#include <symopt/normalization/frobenius_norm.hpp>
#include <symopt/pair/pair_update.hpp>
#include <symopt/polar/exact.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <concepts>
#include <utility>

namespace pair_update_test { namespace {

using namespace symopt_test;

constexpr double tolerance = 1e-9;
constexpr PairShape shapes[] = {{30, 40, 8}, {8, 8, 8}, {9, 30, 2}};

struct Directions {
  Matrix<double> a, b;
};
double error(const Directions& x, const Directions& y) {
  return std::max(relative_error(x.a, y.a), relative_error(x.b, y.b));
}

Directions directions(const auto& rule, const Pair& pair) {
  Directions u{pair.gradient_a, pair.gradient_b};
  rule(pair.a, pair.b, pair.gradient_a, pair.gradient_b, u.a, u.b);
  return u;
}

template <class Group>
Directions moved_directions(const typename Group::template Element<double>& g, Directions u) {
  Group::act_on_update(g, u.a, u.b);
  return u;
}

/// The largest error of U(g x) against g U(x) for elements of condition up to 1e3.
template <class Group>
double equivariance_error(const auto& rule, int trials = 4) {
  CAPTURE(default_seed);
  Random random(default_seed);
  Worst worst;
  for (const PairShape& shape : shapes)
    for (int t = 0; t < trials; ++t) {
      const Pair pair = random_pair(shape, random);
      const auto g = Group::template random<double>(shape, random);
      worst.add(
          error(directions(rule, moved<Group>(g, pair)), moved_directions<Group>(g, directions(rule, pair))));
    }
  return worst.value();
}

TEST_CASE("the derived normalizations are those of the table") {
  CHECK(std::same_as<default_pair_normalization_t<LoraPair>, Spectral<>>);
  CHECK(std::same_as<default_pair_normalization_t<ValueOutput>, Spectral<>>);
  CHECK(std::same_as<default_pair_normalization_t<QueryKey>, HeadSpectral<Side::right, 2>>);
  CHECK(std::same_as<default_pair_normalization_t<QueryKeyHalves>, HeadSpectral<Side::right, 2>>);
  CHECK(std::same_as<default_pair_normalization_t<NeuronPair>, ColumnNorm>);
  CHECK(std::same_as<default_pair_normalization_t<ScalarPair>, Spectral<>>);
  CHECK(std::same_as<default_pair_normalization_t<RowAwarePair>, RowNorm>);
}

TEST_CASE_TEMPLATE("the derived update of a pair is equivariant under elements that are not orthogonal",
                   Group, LoraPair, QueryKey, QueryKeyHalves, NeuronPair, ScalarPair, RowAwarePair,
                   UsersPair) {
  CHECK(equivariance_error<Group>(PairUpdate<Group>()) <= tolerance);
}

TEST_CASE("so is any normalization that commutes with the orthogonal elements") {
  CHECK(equivariance_error<LoraPair>(PairUpdate<LoraPair, FrobeniusNorm>()) <= tolerance);
  CHECK(equivariance_error<LoraPair>(PairUpdate<LoraPair, Identity>()) <= tolerance);
  CHECK(equivariance_error<LoraPair>(PairUpdate<LoraPair, Spectral<polar::Exact>>()) <= tolerance);
  CHECK(equivariance_error<QueryKey>(PairUpdate<QueryKey, Spectral<>>()) <= tolerance);
  CHECK(equivariance_error<NeuronPair>(PairUpdate<NeuronPair, Spectral<>>()) <= tolerance);
}

/// The formula by a factor of the test's own, times any orthogonal element of the algebra.
Directions by_factors(const Pair& pair, const Matrix<double>& f_a, const Matrix<double>& f_b, const auto& n) {
  const Matrix<double> i_a = f_a.inverse(), i_b = f_b.inverse();
  return {n(pair.gradient_a * i_b) * i_b.transpose(), n(pair.gradient_b * i_a) * i_a.transpose()};
}

TEST_CASE("the update is N(M F^-1) F^-T for any factor: triangular, symmetric, or turned") {
  CAPTURE(default_seed);
  Random random(default_seed);
  for (const PairShape& shape : shapes) {
    const Pair pair = random_pair(shape, random);
    const Directions u = directions(PairUpdate<LoraPair, Spectral<polar::Exact>>(), pair);
    const Spectral<polar::Exact> n;
    const Matrix<double> gram_a = pair.a.transpose() * pair.a, gram_b = pair.b.transpose() * pair.b;
    const Matrix<double> l_a = gram_a.llt().matrixL(), l_b = gram_b.llt().matrixL();
    CHECK(error(u, by_factors(pair, l_a.transpose(), l_b.transpose(), n)) <= tolerance);
    const Matrix<double> q = symopt::haar_orthogonal<double>(shape.rank, random);
    CHECK(error(u, by_factors(pair, q * l_a.transpose(), q * l_b.transpose(), n)) <= tolerance);
    const Matrix<double> r_a = Eigen::SelfAdjointEigenSolver<Matrix<double>>(gram_a).operatorSqrt();
    const Matrix<double> r_b = Eigen::SelfAdjointEigenSolver<Matrix<double>>(gram_b).operatorSqrt();
    CHECK(error(u, by_factors(pair, r_a, r_b, n)) <= tolerance);
  }
}

/// lambda I beside the projection, an approximate root, and the metric of the block itself: each breaks it.
template <class Root>
auto liar(const Root& root, bool uses_own_metric = false) {
  return [=](const auto& a, const auto& b, const auto& m_a, const auto& m_b, auto& u_a, auto& u_b) {
    const Spectral<polar::Exact> n;
    const Matrix<double> r_a = root(a.transpose() * a), r_b = root(b.transpose() * b);
    const Matrix<double>& of_a = uses_own_metric ? r_a : r_b;
    const Matrix<double>& of_b = uses_own_metric ? r_b : r_a;
    u_a = n(m_a * of_a) * of_a.transpose();
    u_b = n(m_b * of_b) * of_b.transpose();
  };
}
Matrix<double> inverse_root(const Matrix<double>& gram) {
  return Eigen::SelfAdjointEigenSolver<Matrix<double>>(gram).operatorInverseSqrt();
}

TEST_CASE("negative controls: a damped, an approximate and a wrong metric are not equivariant") {
  // The honest one, by a root of the Gram matrix, which loses the square of the condition.
  CHECK(equivariance_error<LoraPair>(liar(inverse_root)) <= 1e-7);
  const auto damped = [](const Matrix<double>& gram) {
    const Index size = gram.rows();
    return inverse_root(gram + 0.1 * Matrix<double>::Identity(size, size));
  };
  CHECK(equivariance_error<LoraPair>(liar(damped)) > 1e-2);
  const auto approximate = [](const Matrix<double>& gram) -> Matrix<double> {  // f(G) G = G^(1/2), roughly
    const double trace = gram.trace();
    const Matrix<double> y = gram / trace, one = Matrix<double>::Identity(gram.rows(), gram.rows());
    Matrix<double> z = one, x = y;  // five coupled Newton-Schulz steps
    for (int k = 0; k < 5; ++k) {
      const Matrix<double> t = 1.5 * one - 0.5 * z * x;
      x = x * t;
      z = t * z;
    }
    return z / std::sqrt(trace);
  };
  CHECK(equivariance_error<LoraPair>(liar(approximate)) > 1e-2);
  CHECK(equivariance_error<LoraPair>(liar(inverse_root, true)) > 1e-2);
}

TEST_CASE("the damping that peers have breaks the gauge by percents") {
  // A 30x40 pair of rank 8 with Gaussian entries, lambda 0.1, an element of condition 30: the order of the
  // figure in docs/pairs.md.
  CAPTURE(default_seed);
  Random random(default_seed);
  Worst worst;
  const auto damped = [](const Matrix<double>& gram) {
    return inverse_root(gram + 0.1 * Matrix<double>::Identity(gram.rows(), gram.rows()));
  };
  for (int t = 0; t < 8; ++t) {
    const Pair pair = random_pair({30, 40, 8}, random);
    const auto g = LoraPair::random<double>({30, 40, 8}, random, 30);
    worst.add(error(directions(liar(damped), moved<LoraPair>(g, pair)),
                    moved_directions<LoraPair>(g, directions(liar(damped), pair))));
  }
  CHECK(worst.value() > 1e-3);
  CHECK(worst.value() < 1);
}

double spectral_norm(const Matrix<double>& block) {
  return block.jacobiSvd().singularValues()(0);
}

TEST_CASE("sizes: a polar factor moves the product by 1, a plane by at most the root of 2, a neuron by 1") {
  CAPTURE(default_seed);
  Random random(default_seed);
  using polar::Exact;
  for (const PairShape& shape : shapes) {
    CAPTURE(to_string(shape));
    const Pair pair = random_pair(shape, random);
    const Directions full = directions(PairUpdate<LoraPair, Spectral<Exact>>(), pair);
    for (const Matrix<double>& dz :
         {Matrix<double>(full.a * pair.b.transpose()), Matrix<double>(pair.a * full.b.transpose())}) {
      const auto values = dz.jacobiSvd().singularValues();
      for (Index k = 0; k < shape.rank; ++k) CHECK(values(k) == doctest::Approx(1).epsilon(tolerance));
    }
    const double r = static_cast<double>(shape.rank), root_2 = std::sqrt(2.0);
    const auto check_size = [&](const Matrix<double>& u_a, const Matrix<double>& u_b, const Pair& of,
                                double most) {
      CHECK(spectral_norm(u_a * of.b.transpose()) <= most * (1 + tolerance));
      CHECK(spectral_norm(of.a * u_b.transpose()) <= most * (1 + tolerance));
    };
    const auto planes = directions(PairUpdate<QueryKey, HeadSpectral<Side::right, 2, Exact>>(), pair);
    const auto neurons = directions(PairUpdate<NeuronPair, ColumnNorm>({.eps = 0}), pair);
    const auto scalars = directions(PairUpdate<ScalarPair, Spectral<Exact>>(), pair);
    check_size(planes.a, planes.b, pair, root_2 * r / 2);
    check_size(neurons.a, neurons.b, pair, r);
    check_size(scalars.a, scalars.b, pair, std::sqrt(r));
    for (Index p = 0; p < shape.rank; p += 2)
      check_size(planes.a.middleCols(p, 2), planes.b.middleCols(p, 2),
                 {pair.a.middleCols(p, 2), pair.b.middleCols(p, 2), {}, {}}, root_2);
    for (Index j = 0; j < shape.rank; ++j) {
      CHECK(neurons.a.col(j).norm() * pair.b.col(j).norm() == doctest::Approx(1).epsilon(tolerance));
      CHECK(neurons.b.col(j).norm() * pair.a.col(j).norm() == doctest::Approx(1).epsilon(tolerance));
    }
  }
}

TEST_CASE("sizes: neurons that are all alike move the product by their number, and no root of it") {
  Random random(default_seed);
  Pair pair = random_pair({30, 40, 8}, random);
  for (Index j = 1; j < 8; ++j) {
    pair.a.col(j) = pair.a.col(0);
    pair.b.col(j) = pair.b.col(0);
  }
  set_gradients(pair, gaussian_block({30, 40}, random));
  const Directions u = directions(PairUpdate<NeuronPair, ColumnNorm>({.eps = 0}), pair);
  CHECK(spectral_norm(u.a * pair.b.transpose()) == doctest::Approx(8).epsilon(tolerance));
}

TEST_CASE("several blocks A share one B: the metric of A is that of all of them, and each uses B's") {
  CAPTURE(default_seed);
  Random random(default_seed);
  constexpr Index m = 12, n = 15, r = 4, count = 3;
  std::vector<Matrix<double>> a, g_a, u_a;
  for (Index k = 0; k < count; ++k) {
    a.push_back(gaussian_block({m, r}, random));
    g_a.push_back(gaussian_block({m, r}, random));
  }
  const Matrix<double> b = gaussian_block({n, r}, random), g_b = gaussian_block({n, r}, random);
  const PairUpdate<LoraPair> rule;
  u_a = g_a;
  Matrix<double> u_b = g_b;
  rule(a, std::vector{b}, g_a, std::vector{g_b}, u_a, u_b);

  // Below each other the blocks A have the same Gram matrix, so B's direction is that of one tall A.
  Matrix<double> tall(count * m, r), g_tall(count * m, r);
  for (Index k = 0; k < count; ++k) {
    tall.middleRows(k * m, m) = a[static_cast<std::size_t>(k)];
    g_tall.middleRows(k * m, m) = g_a[static_cast<std::size_t>(k)];
  }
  Matrix<double> v_a = g_tall, v_b = g_b;
  rule(tall, b, g_tall, g_b, v_a, v_b);
  CHECK(relative_error(u_b, v_b) <= tolerance);
  for (Index k = 0; k < count; ++k) {  // each A steps by B's metric as if it were alone
    const auto i = static_cast<std::size_t>(k);
    Matrix<double> alone = g_a[i], unused = g_b;
    rule(a[i], b, g_a[i], g_b, alone, unused);
    CHECK(relative_error(u_a[i], alone) <= tolerance);
  }

  // One element moves all of them.
  const auto g = algebra::Full::random<double>(r, 1e3, random);
  std::vector<Matrix<double>> a2 = a, g_a2 = g_a, w_a = g_a;
  for (std::size_t k = 0; k < a.size(); ++k) {
    a2[k] = a[k] * g.matrix;
    g_a2[k] = g_a[k] * g.inverse.transpose();
  }
  Matrix<double> w_b = g_b;
  rule(a2, b * g.inverse.transpose(), g_a2, g_b * g.matrix, w_a, w_b);
  CHECK(relative_error(w_b, u_b * g.inverse.transpose()) <= tolerance);
  for (std::size_t k = 0; k < a.size(); ++k) CHECK(relative_error(w_a[k], u_a[k] * g.matrix) <= tolerance);

  // Mirrored: one A, several B.
  std::vector<Matrix<double>> m_b = g_a;
  Matrix<double> m_a = g_b;
  rule(b, a, g_b, g_a, m_a, m_b);
  CHECK(relative_error(m_a, u_b) <= tolerance);
  for (std::size_t k = 0; k < a.size(); ++k) CHECK(relative_error(m_b[k], u_a[k]) <= tolerance);
}

TEST_CASE("B = 0 leaves A, and moves B") {
  Random random(default_seed);
  Pair pair = random_pair({30, 40, 8}, random);
  pair.b.setZero();
  set_gradients(pair, gaussian_block({30, 40}, random));
  const Directions u = directions(PairUpdate<LoraPair>(), pair);
  CHECK(u.a.isZero(0));
  CHECK(u.b.norm() > 0);
  CHECK(u.b.allFinite());
  const auto g = LoraPair::random<double>({30, 40, 8}, random);
  CHECK(error(directions(PairUpdate<LoraPair>(), moved<LoraPair>(g, pair)),
              moved_directions<LoraPair>(g, u)) <= tolerance);
}

TEST_CASE_TEMPLATE("a partner of a rank between 0 and r: only the step of the product is invariant", Group,
                   LoraPair, UsersPair) {
  Random random(default_seed);
  constexpr PairShape shape{30, 40, 8};
  Pair pair = random_pair(shape, random);
  pair.b = gaussian_block({40, 4}, random) * gaussian_block({4, 8}, random);
  if constexpr (std::same_as<Group, UsersPair>) pair.b.col(1) = pair.b.col(0);
  set_gradients(pair, gaussian_block({30, 40}, random));
  const PairUpdate<Group> rule;
  Directions u{pair.gradient_a, pair.gradient_b};
  const auto ranks = rule(pair.a, pair.b, pair.gradient_a, pair.gradient_b, u.a, u.b);
  CHECK(ranks.a == 8);
  CHECK(ranks.b == (std::same_as<Group, UsersPair> ? 7 : 4));
  CHECK(!ranks.are_regular());
  auto g = Group::template random<double>(shape, random, 30);
  g.outer_a = LeftOrthogonal::identity<double>(shape.a());
  g.outer_b = LeftOrthogonal::identity<double>(shape.b());
  const Pair after = moved<Group>(g, pair);
  const Directions v = directions(rule, after);
  CHECK(relative_error(v.a * after.b.transpose(), u.a * pair.b.transpose()) <= tolerance);
  CHECK(relative_error(after.a * v.b.transpose(), pair.a * u.b.transpose()) <= tolerance);
  CHECK(relative_error(v.a, u.a * g.gauge.matrix) > 1e-3);
}

TEST_CASE("storage does not matter: column-major, padded and transposed memory, and formulas") {
  Random random(default_seed);
  const Pair pair = random_pair({9, 12, 4}, random);
  const PairUpdate<LoraPair> rule;
  const Directions u = directions(rule, pair);
  const Matrix<double> down = pair.b.transpose(),
                       g_down = pair.gradient_b.transpose();  // r x n, as LoRA has it
  const Eigen::MatrixXd up = pair.a;
  Matrix<double> padded = Matrix<double>::Zero(9, 7), u_down = Matrix<double>::Zero(4, 12);
  rule(up, down.transpose(), 2 * pair.gradient_a / 2, g_down.transpose(), padded.leftCols(4),
       u_down.transpose());
  CHECK(relative_error(padded.leftCols(4), u.a) <= 1e-14);
  CHECK(relative_error(u_down.transpose(), u.b) <= 1e-14);
  Pair in_place = pair;
  rule(in_place.a, in_place.b, in_place.gradient_a, in_place.gradient_b, in_place.gradient_a,
       in_place.gradient_b);
  CHECK(same_bits(in_place.gradient_a, u.a));
  CHECK(same_bits(in_place.gradient_b, u.b));
}

TEST_CASE("floats: factors are in double, so blocks of condition 1e3 keep the digits that rounding leaves") {
  CAPTURE(default_seed);
  Random random(default_seed);
  const PairUpdate<LoraPair, Spectral<polar::Exact>> rule;
  const auto f = [](const Matrix<double>& x) { return Matrix<float>(x.cast<float>()); };
  for (const double condition : {30.0, 1e3}) {
    Worst worst;
    for (int t = 0; t < 4; ++t) {
      auto g = LoraPair::identity<double>({30, 40, 8});
      g.gauge = algebra::Full::random<double>(8, condition, random);
      Pair pair = moved<LoraPair>(g, random_pair({30, 40, 8}, random));
      pair = {as_double(f(pair.a)), as_double(f(pair.b)), as_double(f(pair.gradient_a)),
              as_double(f(pair.gradient_b))};
      const Directions u = directions(rule, pair);
      Matrix<float> u_a = f(pair.gradient_a), u_b = f(pair.gradient_b);
      rule(f(pair.a), f(pair.b), u_a, u_b, u_a, u_b);
      worst.add(relative_error(as_double(u_a), u.a));
      worst.add(relative_error(as_double(u_b), u.b));
    }
    CAPTURE(condition);
    CHECK(worst.value() <= 10 * condition * roundoff<float>);
  }
}

TEST_CASE("scales between 1e-30 and 1e30 in float cancel where the normalization is of degree 0") {
  Random random(default_seed);
  const Pair pair = random_pair({12, 9, 4}, random);
  const auto f = [](const Matrix<double>& x) { return Matrix<float>(x.cast<float>()); };
  const Matrix<float> a = f(pair.a), b = f(pair.b), g_a = f(pair.gradient_a), g_b = f(pair.gradient_b);
  Matrix<float> u_a = g_a, u_b = g_b;
  const PairUpdate<LoraPair> rule;
  rule(a, b, g_a, g_b, u_a, u_b);
  for (const float scale : {0x1p-100F, 0x1p-40F, 0x1p40F, 0x1p100F}) {
    CAPTURE(scale);
    Matrix<float> v_a = scale * g_a, v_b = scale * g_b;
    rule(a, b, v_a, v_b, v_a, v_b);
    CHECK(same_bits(v_a, u_a));
    CHECK(same_bits(v_b, u_b));
    v_a = g_a, v_b = g_b;  // the gauge by a power of two, to the bit
    rule(a * scale, b / scale, g_a / scale, g_b * scale, v_a, v_b);
    CHECK(same_bits(Matrix<float>(v_a / scale), u_a));
    CHECK(same_bits(Matrix<float>(v_b * scale), u_b));
  }
}

TEST_CASE("wrong shapes are refused in sentences with both shapes") {
  const PairUpdate<LoraPair> rule;
  const Matrix<float> a = Matrix<float>::Ones(5, 3), b = Matrix<float>::Ones(3, 7), right = b.transpose();
  Matrix<float> u_a = a, u_b = right;
  CHECK_THROWS_WITH_AS(rule(a, b, a, b, u_a, u_b), doctest::Contains("A is 5x3 and B is 3x7"), Error);
  CHECK_THROWS_WITH_AS(rule(a, right, a, b, u_a, u_b), doctest::Contains("the momentum of B is 3x7"), Error);
  Matrix<float> small(2, 2);
  CHECK_THROWS_WITH_AS(rule(a, right, a, right, small, u_b), doctest::Contains("the direction of A is 2x2"),
                       Error);
  CHECK_THROWS_WITH_AS(PairUpdate<QueryKey>()(a, right, a, right, u_a, u_b), doctest::Contains("3 is odd"),
                       Error);
  CHECK_THROWS_AS((PairUpdate<NeuronPair, ColumnNorm>({.eps = -1})), Error);
}

}}  // namespace pair_update_test
