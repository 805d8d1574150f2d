// SPDX-License-Identifier: Apache-2.0
// After its construction an optimizer allocates nothing. Blocks are small enough for Eigen to keep the packed
// panels of its products on the stack, so any allocation would be symopt's (but for the eigensolver's, which are counted apart).
#include "support/allocation_count.hpp"
#include "support/inputs.hpp"

#include <symopt/symopt.hpp>

#include <doctest/doctest.h>

#include <memory>

namespace {

using namespace symopt;
using namespace symopt_test;

/// The allocations of a call.
long counted(const auto& call) {
  const long before = allocations.load();
  call();
  return allocations.load() - before;
}

TEST_CASE("the counter sees operator new, aligned new and Eigen's memory") {
  CHECK(counted([] { CHECK(std::make_unique<int>(3) != nullptr); }) >= 1);
  CHECK(counted([] {
          auto* memory = ::operator new(64, std::align_val_t{64});
          CHECK(memory != nullptr);
          ::operator delete(memory, std::align_val_t{64});
        }) >= 1);
  CHECK(counted([] { CHECK(Matrix<double>::Zero(5, 5).eval().data() != nullptr); }) >= 1);
  volatile int sum = 0;
  CHECK(counted([&] { sum = sum + 1; }) == 0);
}

/// The allocations of three steps, the first one among them.
template <class Rule, class Scalar, int weights_order, int gradient_order>
long allocations_of_steps(Shape shape, const OptimizerOptions& options, const Rule& rule) {
  Random random(default_seed);
  const Matrix<double> values = gaussian_block(shape, random);
  Eigen::Matrix<Scalar, Eigen::Dynamic, Eigen::Dynamic, weights_order> weights = values.cast<Scalar>();
  const Eigen::Matrix<Scalar, Eigen::Dynamic, Eigen::Dynamic, gradient_order> gradient = values.cast<Scalar>();
  Optimizer<Rule, Scalar> optimizer(shape.rows, shape.cols, options, rule);
  return counted([&] {
    for (int step = 0; step < 3; ++step) optimizer.step(weights, gradient);
    optimizer.set_learning_rate(0.5);
    optimizer.set_schedule_factor(0.5);
  });
}

template <class Rule, class Scalar>
void check_steps(Shape shape, const OptimizerOptions& options, const Rule& rule) {
  CAPTURE(symopt::to_string(shape));
  constexpr int rows = Eigen::RowMajor, columns = Eigen::ColMajor;
  CHECK(allocations_of_steps<Rule, Scalar, rows, rows>(shape, options, rule) == 0);
  CHECK(allocations_of_steps<Rule, Scalar, rows, columns>(shape, options, rule) == 0);
  CHECK(allocations_of_steps<Rule, Scalar, columns, rows>(shape, options, rule) == 0);
  CHECK(allocations_of_steps<Rule, Scalar, columns, columns>(shape, options, rule) == 0);
}

const OptimizerOptions usual{.nesterov = true, .weight_decay = 0.1, .scale = Scale::aspect};
const OptimizerOptions horizontal{.weight_decay = 0.1, .decay = Decay::horizontal};
const Shape small{24, 16};
const Shape large{300, 200};

TEST_CASE_TEMPLATE("rules without products allocate nothing at any size, in every storage order", Scalar, float,
                   double) {
  for (const Shape shape : {small, transposed(small), large}) {
    check_steps<Update<Embedding>, Scalar>(shape, usual, {});
    check_steps<Update<LmHead>, Scalar>(shape, usual, {});
    check_steps<Update<LmHead>, Scalar>(shape, horizontal, {});
    check_steps<Sign, Scalar>(shape, usual, {});
    check_steps<AdamW, Scalar>(shape, {.weight_decay = 0.1}, {});
  }
}

TEST_CASE("the other norms and projections allocate nothing either") {
  using BothShifts = Product<RowPermutation, ColumnPermutation, SharedShift, ColumnShift>;
  check_steps<Update<SwigluOutput>, float>(large, usual, {});
  check_steps<Update<SwigluOutput>, double>(small, usual, {});
  check_steps<Update<BothShifts>, float>(large, horizontal, {});
  check_steps<Update<BothShifts, DualNorm<FrobeniusNorm>>, double>(small, usual, {});
}

TEST_CASE_TEMPLATE("polar factors allocate nothing while Eigen's products fit the stack", Scalar, float, double) {
  for (const Shape shape : {small, transposed(small), Shape{64, 48}, Shape{1, 9}, Shape{9, 1}}) {
    check_steps<Update<HiddenMatrix>, Scalar>(shape, usual, {});
    check_steps<Update<Router, LeftSpectral<>>, Scalar>(shape, horizontal, {});
  }
}

TEST_CASE("hybrids, heads and coupled iterations allocate nothing either") {
  using Hybrid = Then<RowNorm, DualNorm<Spectral<polar::NewtonSchulz>>>;
  check_steps<Update<LmHead, Hybrid>, float>(small, usual, {});
  check_steps<HeadSpectral<Side::left, 8>, double>(small, usual, {});
  check_steps<Spectral<polar::CoupledPolarExpress>, float>(small, usual, {});
  check_steps<Spectral<polar::CoupledNewtonSchulz>, double>(transposed(small), usual, {});
}

TEST_CASE("the exact polar factor allocates what Eigen's eigensolver does, and nothing of its own") {
  for (const Shape shape : {small, transposed(small), Shape{5, 9}, Shape{2, 2}, Shape{1, 3}}) {
    CAPTURE(symopt::to_string(shape));
    const Index size = std::min(shape.rows, shape.cols);
    const Matrix<double> gram = Matrix<double>::Identity(size, size) + Matrix<double>::Ones(size, size);
    Eigen::SelfAdjointEigenSolver<Matrix<double>> solver(gram);
    const long bare = counted([&] {
      for (int step = 0; step < 3; ++step) solver.compute(gram);
    });
    using Rule = Spectral<polar::Exact>;
    constexpr int rows = Eigen::RowMajor, columns = Eigen::ColMajor;
    CHECK(allocations_of_steps<Rule, float, rows, rows>(shape, usual, {}) <= bare);
    CHECK(allocations_of_steps<Rule, double, columns, columns>(shape, usual, {}) <= bare);
  }
}

TEST_CASE("an update in place allocates its workspace, and nothing given one") {
  CAPTURE(default_seed);
  Random random(default_seed);
  Matrix<double> block = gaussian_block(small, random);
  const Update<LmHead, Then<RowNorm, Spectral<>>> update;
  CHECK(counted([&] { update(block, block); }) > 0);
  Update<LmHead, Then<RowNorm, Spectral<>>>::Workspace<double> workspace(small);
  CHECK(counted([&] { update.apply<double>(block, workspace); }) == 0);
}

TEST_CASE("a rule that is only callable allocates its result, as documented") {
  const auto halve = [](const Matrix<double>& block) -> Matrix<double> { return 0.5 * block; };
  const long count = allocations_of_steps<decltype(halve), double, Eigen::RowMajor, Eigen::RowMajor>(
      small, {}, halve);
  CHECK(count >= 3);
}

TEST_CASE("weights may change their storage order between steps without an allocation") {
  Matrix<float> rows = Matrix<float>::Ones(24, 16);
  Eigen::MatrixXf columns = rows;
  const Matrix<float> gradient = Matrix<float>::Ones(24, 16);
  Optimizer<Update<LmHead>> optimizer(24, 16);
  CHECK(counted([&] {
          optimizer.step(rows, gradient);
          optimizer.step(columns, gradient);
          optimizer.step(rows, gradient);
        }) == 0);
}

}  // namespace
