// SPDX-License-Identifier: Apache-2.0
// What the momentum does to a rule: rows that are no longer fed, and the two conventions.
#include "support/inputs.hpp"

#include <symopt/symopt.hpp>

#include <doctest/doctest.h>

namespace trap_momentum_test { namespace {

using namespace symopt;
using namespace symopt_test;

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
  // Without eps until the momentum leaves the normal numbers, and not for ever.
  CHECK(full_size_steps(1, 0, 5000) == doctest::Approx(1645).epsilon(0.01));
  CHECK(full_size_steps(1e-5, 0, 5000) == doctest::Approx(1420).epsilon(0.01));
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

}}  // namespace trap_momentum_test
