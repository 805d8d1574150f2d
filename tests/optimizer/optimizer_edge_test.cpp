// SPDX-License-Identifier: Apache-2.0
// The edges of what an optimizer is given: zero, empty and one-line blocks.
#include "support/coupled_inverse_root.hpp"
#include "support/inputs.hpp"

#include <symopt/symopt.hpp>

#include <doctest/doctest.h>

namespace optimizer_edge_test { namespace {

using namespace symopt;
using namespace symopt_test;

TEST_CASE("a zero block of momentum gives a zero update") {
  CAPTURE(default_seed);
  Random random(default_seed);
  const Matrix<double> start = gaussian_block({4, 4}, random);
  const auto check = [&](auto optimizer) {
    Matrix<double> weights = start;
    for (int step = 0; step < 3; ++step) CHECK(optimizer.step(weights, Matrix<double>::Zero(4, 4)).applied);
    CHECK(same_bits(weights, start));
  };
  check(Optimizer<Update<LmHead>, double>(4, 4));
  check(Optimizer<Update<HiddenMatrix>, double>(4, 4));
  check(Optimizer<Update<SwigluOutput>, double>(4, 4));
  check(Optimizer<Update<LmHead, Then<RowNorm, DualNorm<Spectral<polar::Exact>>>>, double>(4, 4));
  check(Optimizer<AdamW, double>(4, 4));
}

template <class Scalar>
void check_edges(const auto& make) {
  for (const Shape shape : {Shape{0, 0}, Shape{0, 5}, Shape{5, 0}, Shape{1, 1}, Shape{1, 6}, Shape{6, 1}}) {
    CAPTURE(symopt::to_string(shape));
    auto optimizer = make(shape);
    Random random(default_seed);
    Matrix<Scalar> rows = gaussian_block(shape, random).cast<Scalar>();
    Eigen::Matrix<Scalar, Eigen::Dynamic, Eigen::Dynamic> columns = rows;
    const Matrix<Scalar> gradient = gaussian_block(shape, random).cast<Scalar>();
    for (int step = 0; step < 2; ++step) {
      CHECK(optimizer.step(rows, gradient).applied);
      CHECK(optimizer.step(columns, gradient).applied);
    }
    CHECK(rows.allFinite());
    CHECK(columns.allFinite());
    CHECK(optimizer.shape() == shape);
  }
}

TEST_CASE_TEMPLATE("empty blocks, single entries and single lines are blocks", Scalar, float, double) {
  CAPTURE(default_seed);
  const auto check = []<class Rule>(std::type_identity<Rule>, Decay decay) {
    check_edges<Scalar>([=](Shape shape) {
      return Optimizer<Rule, Scalar>(shape.rows, shape.cols,
                                     {.weight_decay = 0.1, .decay = decay, .scale = Scale::spectral});
    });
  };
  using BothShifts = Product<RowPermutation, ColumnPermutation, SharedShift, ColumnShift>;
  check(std::type_identity<Update<LmHead>>{}, Decay::horizontal);
  check(std::type_identity<Update<BothShifts>>{}, Decay::horizontal);
  check(std::type_identity<Update<HiddenMatrix>>{}, Decay::all);
  check(std::type_identity<Spectral<polar::Exact>>{}, Decay::all);
  check(std::type_identity<Spectral<polar::CoupledPolarExpress>>{}, Decay::all);
  check(std::type_identity<AdamW>{}, Decay::all);
  check(std::type_identity<Adaptive<LmHead>>{}, Decay::horizontal);
  check(std::type_identity<Adaptive<BothShifts>>{}, Decay::horizontal);
  check(std::type_identity<Adaptive<SwigluOutput>>{}, Decay::all);
  check(std::type_identity<Adaptive<HiddenMatrix>>{}, Decay::all);
}

TEST_CASE("a single entry moves by the learning rate against its gradient") {
  Optimizer<Update<HiddenMatrix>, double> optimizer(1, 1, {.learning_rate = 0.25});
  Matrix<double> weights{{1}};
  optimizer.step(weights, Matrix<double>{{-1e-20}});
  CHECK(weights(0, 0) == doctest::Approx(1.25));
}

/// The steps with that gradient up to the one that is refused, which changes nothing.
int steps_until_refused(auto optimizer, float size) {
  const Matrix<float> gradient = Matrix<float>::Constant(1, 1, size);
  Matrix<float> weights = Matrix<float>::Zero(1, 1);
  for (int step = 0; step < 40; ++step) {
    const Matrix<float> before = weights, momentum = optimizer.momentum();
    try {
      optimizer.step(weights, gradient);
    } catch (const NonFiniteGradient&) {
      CHECK(same_bits(weights, before));
      CHECK(same_bits(Matrix<float>(optimizer.momentum()), momentum));
      CHECK(optimizer.steps() == step);
      CHECK(optimizer.step(weights, gradient * -0.1F).applied);  // and it goes on
      return step;
    }
    CHECK(weights.allFinite());
  }
  return 40;
}

TEST_CASE("a momentum that leaves the range is refused at that step and not before") {
  const auto rule = []<class Rule>(std::type_identity<Rule>, bool nesterov) {
    return Optimizer<Rule>(1, 1,
                           {.momentum_convention = MomentumConvention::heavy_ball, .nesterov = nesterov});
  };
  // 3e37 (1 - 0.95^t) / 0.05 against 3.4e38.
  CHECK(steps_until_refused(rule(std::type_identity<Sign>{}, false), 3e37F) == 16);
  CHECK(steps_until_refused(rule(std::type_identity<Identity>{}, false), 3e37F) == 16);
  CHECK(steps_until_refused(rule(std::type_identity<Identity>{}, true), 3e38F) == 0);
  CHECK(steps_until_refused(rule(std::type_identity<Sign>{}, true), 1e36F) == 40);
  CHECK(steps_until_refused(Optimizer<Sign>(1, 1), std::numeric_limits<float>::max()) == 40);
}

TEST_CASE("a step that is out of range is skipped where one of an Inf is") {
  Optimizer<Identity> optimizer(1, 1, {.learning_rate = 10, .momentum = 0, .non_finite = NonFinite::skip});
  Matrix<float> weights = Matrix<float>::Zero(1, 1);
  CHECK_FALSE(optimizer.step(weights, Matrix<float>::Constant(1, 1, 1e38F)).applied);
  CHECK(weights(0, 0) == 0);
  CHECK(optimizer.steps() == 0);
  CHECK(optimizer.step(weights, Matrix<float>::Constant(1, 1, 1e37F)).applied);
  CHECK(weights(0, 0) == -1e38F);
}

TEST_CASE("a dual norm near the maximum is right, or refused") {
  using Dual = Update<HiddenMatrix, DualNorm<Spectral<polar::Exact>>>;
  for (const double alpha : {1.0, 0.5})
    for (const double size : {1e307, 1.7e308}) {
      CAPTURE(alpha);
      CAPTURE(size);
      // The nuclear norm is twice the size.
      Optimizer<Dual, double> optimizer(2, 2, {.learning_rate = 1e-3, .momentum = 0},
                                        DualNorm<Spectral<polar::Exact>>{.alpha = alpha});
      Matrix<double> weights = Matrix<double>::Zero(2, 2);
      const Matrix<double> gradient = size * Matrix<double>::Identity(2, 2);
      if (alpha == 1 && size > 1e308) {
        CHECK_THROWS_AS(optimizer.step(weights, gradient), NonFiniteGradient);
        CHECK(weights.isZero(0));
      } else {
        optimizer.step(weights, gradient);
        CHECK(weights(0, 0) == doctest::Approx(-1e-3 * std::pow(size, alpha) * std::pow(2, alpha)));
      }
    }
}

TEST_CASE(
    "lines whose norm is out of range are normalized, and means of sums that are out of range are found") {
  const double most = std::numeric_limits<double>::max();
  const Matrix<double> block = Matrix<double>::Constant(4, 4, most);
  const Matrix<double> half = Matrix<double>::Constant(4, 4, 0.5);
  CHECK(relative_error(RowNorm{}(block), half) < 1e-14);
  CHECK(relative_error(ColumnNorm{}(block), half) < 1e-14);
  CHECK(relative_error(FrobeniusNorm{}(block), 0.5 * half) < 1e-14);
  CHECK(HorizontalProjection<Side::left>{}(block).isZero(most * 1e-15));
  CHECK(HorizontalProjection<Side::right>{}(block).isZero(most * 1e-15));
  const auto moves = [&](auto optimizer, double expected) {
    Matrix<double> weights = Matrix<double>::Zero(4, 4);
    optimizer.step(weights, block);
    CHECK(weights(1, 1) == doctest::Approx(expected));
  };
  moves(Optimizer<Update<Embedding>, double>(4, 4, {.learning_rate = 1}), -0.5);
  moves(Optimizer<Update<SwigluOutput>, double>(4, 4, {.learning_rate = 1}), -0.5);
}

TEST_CASE(
    "rates that are out of range in the scalar, or times the schedule's and the scale's factor, are "
    "refused") {
  const auto refuses = [](const auto& call, const char* words) {
    CHECK_THROWS_WITH_AS(call(), doctest::Contains(words), Error);
  };
  refuses([] { Optimizer<Sign>(2, 2, {.learning_rate = 1e39}); },
          "learning_rate is 1e+39; it must be at most what float holds");
  refuses([] { Optimizer<Sign>(2, 2, {.weight_decay = 1e39}); }, "weight_decay is 1e+39");
  refuses([] { Optimizer<Sign>(2, 2, {.learning_rate = 1e30, .weight_decay = 1e30}); },
          "times the weight decay of 1e+30");
  refuses([] { Optimizer<Sign>(100, 1, {.learning_rate = 3e38, .scale = Scale::aspect}); },
          "times the scale's factor of 10 is out of the range of float");
  CHECK_NOTHROW(Optimizer<Sign, double>(2, 2, {.learning_rate = 1e39, .weight_decay = 1e39}));

  Optimizer<Sign, double> optimizer(1, 1, {.learning_rate = 1e200});
  refuses([&] { optimizer.set_schedule_factor(1e200); },
          "the learning rate of 1e+200 times the schedule factor of 1e+200");
  CHECK(optimizer.schedule_factor() == 1);
  optimizer.set_schedule_factor(1e100);
  refuses([&] { optimizer.set_learning_rate(1e300); }, "out of the range of double");
  refuses([&] { optimizer.set_weight_decay(1e100); }, "out of the range of double");
  CHECK(optimizer.options().learning_rate == 1e200);

  Matrix<float> weights = Matrix<float>::Ones(1, 1), gradient = weights;
  LayerwiseOptimizer stack;
  refuses([&] { stack.add<Sign>("a", weights, gradient, {.learning_rate = 1e39}); },
          "'a': learning_rate is 1e+39");
  stack.add<Sign>("a", weights, gradient, {.learning_rate = 1e30});
  refuses([&] { stack.set_schedule_factor(1e30); },
          "'a': the learning rate of 1e+30 times the schedule factor of 1e+30");
  refuses([&] { stack.set_learning_rate("a", 1e39); }, "learning_rate is 1e+39");
  stack.set_schedule_factor(1e8);
  stack.set_learning_rate("a", 1e31);
  refuses([&] { stack.step(); }, "'a': the learning rate of 1e+31");
  CHECK(weights(0, 0) == 1);
  CHECK(stack.steps() == 0);
}

/// The direction's weights after three steps with gradients times 2^exponent.
template <class Rule>
Matrix<float> weights_at_scale(const Rule& rule, int exponent) {
  std::mt19937_64 random(3);
  constexpr Shape shape{33, 17};
  Matrix<float> weights = Matrix<float>::Zero(shape.rows, shape.cols);
  Optimizer<Rule> optimizer(shape.rows, shape.cols, {.learning_rate = 1}, rule);
  for (int step = 0; step < 3; ++step)
    optimizer.step(weights, Matrix<float>(gaussian<float>(shape, random) * std::ldexp(1.0F, exponent)));
  return weights;
}

TEST_CASE("without eps a power of two in the gradients changes no bit of a step") {
  const Update<Embedding> rows(RowNorm{.eps = 0});
  const Update<LmHead> head(RowNorm{.eps = 0});
  const Matrix<float> by_rows = weights_at_scale(rows, 0), by_head = weights_at_scale(head, 0);
  for (const int exponent : {-100, -60, -3, 1, 60, 100}) {
    CAPTURE(exponent);
    CHECK(same_bits(weights_at_scale(rows, exponent), by_rows));
    if (std::abs(exponent) <= 60) CHECK(same_bits(weights_at_scale(head, exponent), by_head));
    // Rows with norms beyond 2^64 are brought near 1 first, and rounded once more.
    CHECK((weights_at_scale(head, exponent) - by_head).norm() <= 1e-6F * by_head.norm());
  }
}

TEST_CASE("a first step that leaves the range and is refused leaves a momentum with which others go on") {
  using Columns = Update<Product<LeftOrthogonal, ColumnPermutation, ColumnShift>>;
  Random random(default_seed);
  const Eigen::MatrixXf start = gaussian_block({6, 5}, random).cast<float>();
  const Eigen::MatrixXf gradient = gaussian_block({6, 5}, random).cast<float>();
  Optimizer<Columns> refused(6, 5, {.learning_rate = 3e38, .non_finite = NonFinite::skip}), fresh(6, 5);
  Eigen::MatrixXf weights = start, other = start;
  weights.array() += 3e38F;
  CHECK_FALSE(refused.step(weights, Eigen::MatrixXf(-1e38F * gradient.cwiseAbs())).applied);
  refused.set_learning_rate(fresh.options().learning_rate);
  weights = start;
  CHECK(refused.step(weights, gradient).applied);
  CHECK(fresh.step(other, gradient).applied);
  CHECK(weights == other);
}

}}  // namespace optimizer_edge_test
