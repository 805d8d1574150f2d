// SPDX-License-Identifier: Apache-2.0
// What may stand in an Optimizer: any callable, a normalization, an update, a rule with a state.
#include "support/inputs.hpp"

#include <symopt/symopt.hpp>

#include <doctest/doctest.h>

namespace optimizer_rules_test { namespace {

using namespace symopt;
using namespace symopt_test;

/// Without a claimed group.
struct Clipped {
  double largest = 0.5;
  template <class Derived>
  auto operator()(const Eigen::MatrixBase<Derived>& block) const {
    using Scalar = typename Derived::Scalar;
    return block.cwiseMax(Scalar(-largest)).cwiseMin(Scalar(largest)).eval();
  }
};

/// For one scalar and row-major matrices only.
struct FirstRow {
  Matrix<double> operator()(const Matrix<double>& block) const {
    Matrix<double> result = Matrix<double>::Zero(block.rows(), block.cols());
    result.row(0) = block.row(0);
    return result;
  }
};

/// With a state made from rows and columns, and one made from nothing.
struct SumOfGradients {
  double root_mean_square(Shape) const { return 0.5; }  // match_rms gives 0.2 / 0.5
  template <class Scalar>
  struct State {
    State(Index rows, Index cols) : sum(Matrix<Scalar>::Zero(rows, cols)) {}
    Matrix<Scalar> sum;
  };
  template <class Weights, class Gradient, class Scalar, class Direction>
  void operator()(const Weights&, const Gradient& gradient, State<Scalar>& state,
                  Direction& direction) const {
    state.sum += gradient;
    direction = state.sum;
  }
};

/// The cautious mask: it needs the weights too.
struct Cautious {
  template <class Scalar>
  struct State {
    int calls = 0;
  };
  template <class Weights, class Gradient, class Scalar, class Direction>
  void operator()(const Weights& weights, const Gradient& gradient, State<Scalar>& state,
                  Direction& direction) const {
    ++state.calls;
    direction = (weights.array() * gradient.array() > Scalar(0)).select(gradient, Scalar(0) * gradient);
  }
};

static_assert(StatelessRule<Clipped, float> && !StatefulRule<Clipped, float>);
static_assert(StatelessRule<FirstRow, double> && !StatelessRule<FirstRow, float>);
static_assert(StatefulRule<SumOfGradients, float> && !StatelessRule<SumOfGradients, double>);
static_assert(StatefulRule<Cautious, double>);
static_assert(StatelessRule<Update<LmHead>, float> && StatelessRule<RowNorm, double>);
static_assert(!StatelessRule<int, float> && !StatefulRule<int, float>);

using ColumnMajor = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic>;

template <class Block>
Matrix<double> one_step(auto& optimizer, const Matrix<double>& start, const Matrix<double>& gradient) {
  Block weights = start;
  optimizer.step(weights, gradient);
  return weights;
}

TEST_CASE("a user's callable without a claimed group is run, in either storage order") {
  CAPTURE(default_seed);
  Random random(default_seed);
  const Matrix<double> start = gaussian_block({3, 4}, random), gradient = gaussian_block({3, 4}, random);
  const OptimizerOptions options{.learning_rate = 0.5, .momentum = 0};
  const Matrix<double> clipped = start - 0.5 * Clipped{0.25}(gradient);
  const Matrix<double> first = start - 0.5 * FirstRow{}(gradient);
  Optimizer<Clipped, double> clipping(3, 4, options, {0.25});
  CHECK(relative_error(one_step<Matrix<double>>(clipping, start, gradient), clipped) <= 1e-15);
  CHECK(relative_error(one_step<ColumnMajor>(clipping, start, gradient), clipped) <= 1e-15);
  Optimizer<FirstRow, double> keeping(3, 4, options);
  CHECK(relative_error(one_step<Matrix<double>>(keeping, start, gradient), first) <= 1e-15);
  CHECK(relative_error(one_step<ColumnMajor>(keeping, start, gradient), first) <= 1e-15);
  CHECK(clipping.rule().largest == 0.25);
}

TEST_CASE("a lambda is a rule") {
  const auto halve = [](const Matrix<double>& block) -> Matrix<double> { return 0.5 * block; };
  Optimizer<decltype(halve), double> optimizer(1, 1, {.learning_rate = 1, .momentum = 0}, halve);
  Matrix<double> weights{{1}};
  optimizer.step(weights, Matrix<double>{{1}});
  CHECK(weights(0, 0) == 0.5);
}

TEST_CASE("a user's stateful rule keeps its own momentum; scale and decay stay with the optimizer") {
  const Matrix<double> start{{1, 2, 3, 4}, {5, 6, 7, 8}};
  const Matrix<double> gradient = Matrix<double>::Ones(2, 4);
  const auto check = [&]<class Block>(std::type_identity<Block>) {
    Optimizer<SumOfGradients, double> optimizer(
        2, 4, {.learning_rate = 0.1, .weight_decay = 1, .scale = Scale::match_rms});
    Block weights = start;
    Matrix<double> expected = start;
    for (int step = 1; step <= 3; ++step) {
      optimizer.step(weights, gradient);
      expected = 0.9 * expected - 0.1 * 0.4 * step * gradient;
      CHECK(relative_error(weights, expected) <= 1e-15);
    }
    CHECK(optimizer.state().sum == 3 * gradient);
  };
  check(std::type_identity<Matrix<double>>{});
  check(std::type_identity<ColumnMajor>{});
}

TEST_CASE("a stateful rule sees the weights before the step") {
  Optimizer<Cautious, double> optimizer(1, 3, {.learning_rate = 1});
  Matrix<double> weights{{1, -1, 1}};
  optimizer.step(weights, Matrix<double>{{0.5, 0.5, -0.5}});
  CHECK(weights == Matrix<double>{{0.5, -1, 1}});
  CHECK(optimizer.state().calls == 1);
}

TEST_CASE("a copy of an optimizer goes on from the same state, apart from the original") {
  CAPTURE(default_seed);
  Random random(default_seed);
  Optimizer<Update<LmHead>, double> original(4, 3, {.learning_rate = 0.1});
  Matrix<double> weights = gaussian_block({4, 3}, random);
  original.step(weights, gaussian_block({4, 3}, random));
  Optimizer<Update<LmHead>, double> copy = original;
  Matrix<double> other = weights;
  const Matrix<double> gradient = gaussian_block({4, 3}, random);
  original.step(weights, gradient);
  CHECK(copy.steps() == 1);
  copy.step(other, gradient);
  CHECK(same_bits(other, weights));
  CHECK(same_bits(copy.momentum(), original.momentum()));
}

}}  // namespace optimizer_rules_test
