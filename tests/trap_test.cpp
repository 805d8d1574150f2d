// SPDX-License-Identifier: Apache-2.0
// The numerical traps of docs/derivation.md and of the headers, one test each.
#include "support/reference.hpp"

#include <symopt/symopt.hpp>

#include <doctest/doctest.h>

#include <Eigen/Eigenvalues>

namespace {

using namespace symopt;
using namespace symopt_test;
using polar::Exact;

double largest_entry(const auto& block) { return static_cast<double>(block.cwiseAbs().maxCoeff()); }

TEST_CASE("a centred left Gram matrix is singular, and the noise in its null space is cut, not amplified") {
  CAPTURE(default_seed);
  Random random(default_seed);
  constexpr Shape router{16, 64};
  const Matrix<float> m = gaussian_block(router, random).cast<float>();
  const Matrix<float> mc = HorizontalProjection<Side::left>{}(m);
  const Matrix<double> expected = polar_by_svd(centred(as_double(m), Side::left), 1e-5);

  CHECK(relative_error(as_double(Update<Router, LeftSpectral<Exact>>{}(m)), expected) <= 1e-5);
  CHECK(relative_error(as_double(Update<Router, LeftSpectral<>>{}(m)), expected) <= 1e-5);
  CHECK(relative_error(as_double(LeftSpectral<Exact>{}(mc)), expected) <= 1e-5);
  CHECK(relative_error(as_double(LeftSpectral<>{}(mc)), expected) <= 3e-3);

  // The inverse root with small eigenvalues clamped: noise over the root of the clamp.
  const Matrix<float> gram = mc * mc.transpose();
  const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXf> solver(gram);
  const Eigen::VectorXf root = solver.eigenvalues().cwiseMax(1e-20F).cwiseSqrt().cwiseInverse();
  const Matrix<float> clamped =
      solver.eigenvectors() * root.asDiagonal() * (solver.eigenvectors().transpose() * mc);
  CHECK_FALSE(relative_error(as_double(clamped), expected) <= 1e-2);
}

/// A float block of half the rank.
Matrix<float> half_rank(Random& random) {
  return block_with_spectrum({32, 32}, std::vector<double>(16, 1.0), random).cast<float>();
}

TEST_CASE("a coupled inverse root breaks down on a deficient block in float, the iteration on X does not") {
  CAPTURE(default_seed);
  Random random(default_seed);
  const Matrix<float> block = half_rank(random);
  const Matrix<float> early = Spectral<polar::CoupledPolarExpress>{{.steps = 5}}(block);
  CHECK(singular_values(as_double(early))(0) <= 1.13);
  const Matrix<float> late = Spectral<polar::CoupledPolarExpress>{{.steps = 14}}(block);
  CHECK_FALSE(largest_entry(late) <= 1.5);
  for (int steps = 5; steps <= 20; ++steps) {
    CAPTURE(steps);
    const Matrix<float> result = Spectral<polar::PolarExpress>{{.steps = steps}}(block);
    CHECK(result.allFinite());
    CHECK(singular_values(as_double(result))(0) <= 1.13);
    if (steps >= 8) CHECK(relative_error(as_double(result), polar_by_svd(as_double(block), 1e-3)) <= 5e-3);
  }
}

TEST_CASE("five polynomial steps do not converge, eight do") {
  CAPTURE(default_seed);
  Random random(default_seed);
  const Matrix<double> block = block_with_spectrum({8, 8}, log_spaced(8, 500), random);
  const auto deviation = [&](const auto& rule) {
    return (singular_values(rule(block)).array() - 1).abs().maxCoeff();
  };
  CHECK(deviation(Spectral<>{{.steps = 5}}) > 0.1);
  CHECK(deviation(Spectral<polar::NewtonSchulz>{}) > 0.1);
  CHECK(deviation(Spectral<>{polar::PolarExpress::muon()}) > 0.05);
  CHECK(deviation(Spectral<>{}) <= 3e-8);
  CHECK(deviation(Spectral<Exact>{}) <= 1e-10);
}

TEST_CASE("alpha has no effect, up to eps, when the row norm comes last") {
  CAPTURE(default_seed);
  Random random(default_seed);
  const Matrix<double> m = gaussian_block({9, 4}, random);
  const auto dual_then_row = [&](double alpha, double eps) {
    return Update<Embedding, Then<DualNorm<Spectral<>>, RowNorm>>({{.alpha = alpha}, RowNorm{.eps = eps}})(m);
  };
  CHECK(relative_error(dual_then_row(1, 0), dual_then_row(0, 0)) <= 1e-15);
  CHECK(relative_error(dual_then_row(1, 1e-8), dual_then_row(0, 1e-8)) <= 1e-7);
  CHECK(relative_error(dual_then_row(1, 1e-8), dual_then_row(0, 1e-8)) > 0);
  const auto row_then_dual = [&](double alpha) {
    return Update<Embedding, Then<RowNorm, DualNorm<Spectral<>>>>({RowNorm{}, {.alpha = alpha}})(m);
  };
  CHECK(relative_error(row_then_dual(1), row_then_dual(0)) > 0.5);
}

/// How many steps of at least half the full size a row takes after its only gradient, of the given length.
int full_size_steps(double gradient_length, double eps, int horizon) {
  Optimizer<Update<RowPermutation>> optimizer(2, 1, {.learning_rate = 1}, {RowNorm{.eps = eps}});
  Matrix<float> weights = Matrix<float>::Zero(2, 1);
  Matrix<float> gradient = Matrix<float>::Zero(2, 1);
  gradient(0, 0) = static_cast<float>(gradient_length);
  int count = 0;
  for (int step = 0; step < horizon; ++step) {
    const float before = weights(0, 0);
    optimizer.step(weights, gradient);
    count += before - weights(0, 0) > 0.5F;
    gradient.setZero();
  }
  CHECK(weights(1, 0) == 0);
  return count;
}

TEST_CASE("a row seen once takes 77 to 300 more full-size steps under the default eps, many more without") {
  // 0.05 * 0.95^t * length falls below 1e-8 after log(5e6 * length) / 0.0513 steps.
  CHECK(full_size_steps(1e-5, 1e-8, 1000) == doctest::Approx(77).epsilon(0.02));
  CHECK(full_size_steps(1, 1e-8, 1000) == doctest::Approx(301).epsilon(0.01));
  CHECK(full_size_steps(1, 0, 1600) >= 1500);
  CHECK(full_size_steps(1e-5, 0, 1600) >= 1400);
}

/// The weights after some steps from zero under either convention.
template <class Rule>
std::pair<Matrix<double>, Matrix<double>> under_both_conventions(const Rule& rule) {
  const auto run = [&](MomentumConvention convention) {
    Random random(default_seed);
    Optimizer<Rule, double> optimizer(6, 4, {.learning_rate = 0.1, .momentum_convention = convention}, rule);
    Matrix<double> weights = Matrix<double>::Zero(6, 4);
    for (int step = 0; step < 5; ++step) optimizer.step(weights, gaussian_block({6, 4}, random));
    return weights;
  };
  return {run(MomentumConvention::ema), run(MomentumConvention::heavy_ball)};
}

TEST_CASE("EMA and heavy ball differ by 1 / (1 - beta), which only DualNorm and the identity see") {
  const auto factor = [](const auto& rule, double expected) {
    const auto [ema, heavy_ball] = under_both_conventions(rule);
    return relative_error(heavy_ball, expected * ema);
  };
  CHECK(factor(Update<HiddenMatrix>{}, 1) <= 1e-12);
  CHECK(factor(Update<LmHead>(RowNorm{.eps = 0}), 1) <= 1e-12);
  CHECK(factor(Sign{}, 1) <= 1e-12);
  CHECK(factor(Update<Trivial>{}, 20) <= 1e-12);
  CHECK(factor(DualNorm<Spectral<>>{.alpha = 1}, 20) <= 1e-12);
  CHECK(factor(DualNorm<Spectral<>>{.alpha = 0.5}, std::sqrt(20.0)) <= 1e-12);
  CHECK(factor(DualNorm<RowNorm>{.alpha = 1}, 20) <= 1e-6);
}

TEST_CASE("nu is the nuclear norm, the sum of row norms, or the l1 norm of the stage's own input") {
  CAPTURE(default_seed);
  Random random(default_seed);
  const Matrix<double> m = gaussian_block({5, 7}, random);
  CHECK(relative_error(DualNorm<Spectral<>>{}(m), nuclear_norm(m) * polar_by_svd(m)) <= 1e-6);
  CHECK(relative_error(DualNorm<RowNorm>{1.0, {.eps = 0}}(m), m.rowwise().norm().sum() * rows_normalized(m, 0)) <=
        1e-14);
  CHECK(relative_error(DualNorm<Sign>{}(m), m.cwiseAbs().sum() * signs_of(m)) <= 1e-14);
  CHECK(relative_error(DualNorm<FrobeniusNorm>{}(m), m) <= 1e-14);
}

TEST_CASE("a row norm of a horizontal block with a zero row is decided by rounding, and still horizontal") {
  CAPTURE(default_seed);
  Random random(default_seed);
  // Rows that sum to zero up to rounding, and one that is zero up to rounding after centring.
  Matrix<double> block = gaussian_block({7, 3}, random);
  block.row(0) = block.bottomRows(6).colwise().mean();
  const Matrix<double> nudged = block * (1 + 3e-16);
  const Update<LmHead> without_eps(RowNorm{.eps = 0});
  const Matrix<double> a = without_eps(block);
  const Matrix<double> b = without_eps(nudged);
  CHECK(a.allFinite());
  CHECK(a.colwise().sum().norm() <= 1e-14);
  // Each of the other rows is well determined; the first one, before the last centring, need not be.
  CHECK(relative_error(a.row(1) - a.row(2), b.row(1) - b.row(2)) <= 1e-12);
  // The default eps keeps a row of rounding errors at rounding size.
  const Update<LmHead> with_eps;
  CHECK(relative_error(with_eps(block), with_eps(nudged)) <= 1e-6);
}

}  // namespace
