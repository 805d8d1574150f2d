// SPDX-License-Identifier: Apache-2.0
// What docs/limits.md says of where the derived rules do not help, measured.
#include <symopt/derive/dual_norm.hpp>
#include <symopt/group/named_groups.hpp>
#include <symopt/optimizer/optimizer.hpp>

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "support/error.hpp"
#include "support/inputs.hpp"

namespace limits_test { namespace {

using namespace symopt;
using namespace symopt_test;

/// How many steps with no gradient move the one row that had a gradient of that length once, by at least half
/// of the learning rate each.
int steps_after(double length, double eps) {
  Optimizer<Update<Embedding>> optimizer(2, 4, {.learning_rate = 0.5}, RowNorm{.eps = eps});
  Matrix<float> weights = Matrix<float>::Zero(2, 4), gradient = weights;
  gradient(0, 1) = static_cast<float>(length);
  for (int steps = 0;; ++steps) {
    const Matrix<float> before = weights;
    optimizer.step(weights, gradient);
    gradient.setZero();
    if ((weights - before).row(0).norm() < 0.25F) return steps - 1;
  }
}

TEST_CASE("a row that was fed once goes on at full size for 77 to 300 steps, without eps for some 1600") {
  const int weak = steps_after(1e-5, 1e-8), strong = steps_after(1, 1e-8);
  CHECK(weak >= 70);
  CHECK(weak <= 80);
  CHECK(strong >= 295);
  CHECK(strong <= 305);
  const int for_ever = steps_after(1, 0);
  CHECK(for_ever >= 1500);
  CHECK(for_ever <= 1700);
  CHECK(steps_after(1, 1e-3) < strong / 2);  // a larger eps is the remedy
}

TEST_CASE("the projected row norm of a horizontal block with a zero row depends on rounding") {
  Random random(default_seed);
  Matrix<double> block = centred(gaussian_block({5, 3}, random), Side::left);
  const Update<LmHead> update(RowNorm{.eps = 0});
  const auto sensitivity = [&] {
    Matrix<double> moved = block;
    moved(1, 0) += 1e-13;
    return relative_error(update(moved), update(block));
  };
  CHECK(sensitivity() <= 1e-10);
  block.row(1) += block.row(0);
  block.row(0).setZero();
  CHECK(sensitivity() >= 1e-2);
}

TEST_CASE("EMA and heavy ball are different optimizers under a dual norm, by 1 / (1 - beta)") {
  Random random(default_seed);
  const Matrix<double> gradient = gaussian_block({6, 4}, random);
  const auto first_step = [&]<class Rule>(MomentumConvention convention, Rule rule) {
    Matrix<double> weights = Matrix<double>::Zero(6, 4);
    Optimizer<Update<HiddenMatrix, Rule>, double> optimizer(
        6, 4, {.learning_rate = 1, .momentum = 0.95, .momentum_convention = convention}, rule);
    optimizer.step(weights, gradient);
    return weights;
  };
  using enum MomentumConvention;
  const Spectral<> scale_free;
  const DualNorm<Spectral<>> dual;
  CHECK(relative_error(first_step(heavy_ball, scale_free), first_step(ema, scale_free)) <= 1e-12);
  CHECK(relative_error(first_step(heavy_ball, dual), 20 * first_step(ema, dual)) <= 1e-12);
}

/// -log softmax(logits)[0] + z log(sum exp)^2
double loss(const Eigen::VectorXd& logits, double z) {
  const double log_sum = std::log(logits.array().exp().sum());
  return log_sum - logits(0) + z * log_sum * log_sum;
}

TEST_CASE("a z-loss and a soft-cap see the shift, and the head's update cannot answer them") {
  Random random(default_seed);
  const Matrix<double> head = gaussian_block({6, 4}, random);
  const Eigen::VectorXd x = gaussian_block({4, 1}, random);
  const Matrix<double> shifted = head.rowwise() + gaussian_block({1, 4}, random).row(0);
  const auto capped = [&](const Matrix<double>& w) -> Eigen::VectorXd {
    return 3 * ((w * x).array() / 3).tanh();
  };
  CHECK(std::abs(loss(shifted * x, 0) - loss(head * x, 0)) <= 1e-12);
  CHECK(std::abs(loss(shifted * x, 1e-2) - loss(head * x, 1e-2)) >= 1e-4);
  CHECK(std::abs(loss(capped(shifted), 0) - loss(capped(head), 0)) >= 1e-4);

  // A gradient along the shift, which is all that a z-loss adds to the mean row, gives no direction at all.
  const Matrix<double> along = Matrix<double>::Ones(6, 1) * x.transpose();
  CHECK(Update<LmHead>()(along).norm() <= 1e-6);
  CHECK(Update<Embedding>()(along).norm() >= 1);
}

TEST_CASE("gains of a norm break the rotations of the width, unless all are equal") {
  Random random(default_seed);
  const Matrix<double> head = gaussian_block({6, 4}, random);
  const Eigen::VectorXd x = gaussian_block({4, 1}, random);
  const Matrix<double> q = symopt::detail::plane_rotation<double>(4, 0, 2, 0.7);
  const auto change = [&](const Eigen::VectorXd& gains) {
    const auto logits = [&](const Matrix<double>& w, const Eigen::VectorXd& h) -> Matrix<double> {
      return w * (gains.array() * h.array() / h.norm()).matrix();
    };
    return relative_error(logits(head * q.transpose(), q * x), logits(head, x));
  };
  CHECK(change(Eigen::VectorXd::Constant(4, 1.5)) <= 1e-12);
  CHECK(change(gaussian_block({4, 1}, random)) >= 1e-2);
}

TEST_CASE("rotary positions break the rotations within a head, but for those of its planes") {
  Random random(default_seed);
  const Eigen::VectorXd query = gaussian_block({4, 1}, random), key = gaussian_block({4, 1}, random);
  const Matrix<double> rotary = symopt::detail::plane_rotation<double>(4, 0, 1, 0.9) *
                                symopt::detail::plane_rotation<double>(4, 2, 3, 0.09);
  const auto change = [&](const Matrix<double>& q) {
    const auto score = [&](const Eigen::VectorXd& a, const Eigen::VectorXd& b) { return a.dot(rotary * b); };
    return std::abs(score(q * query, q * key) - score(query, key));
  };
  CHECK(change(symopt::detail::plane_rotation<double>(4, 0, 1, 0.7)) <= 1e-12);
  CHECK(change(symopt::detail::plane_rotation<double>(4, 0, 2, 0.7)) >= 1e-2);
}

}}  // namespace limits_test
