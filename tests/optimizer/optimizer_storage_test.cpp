// SPDX-License-Identifier: Apache-2.0
// How a block lies in memory does not matter, and only the block is written.
#include "support/inputs.hpp"
#include "support/layouts.hpp"

#include <symopt/symopt.hpp>

#include <doctest/doctest.h>

namespace optimizer_storage_test { namespace {

using namespace symopt;
using namespace symopt_test;

constexpr int row_major = Eigen::RowMajor;
constexpr int column_major = Eigen::ColMajor;
constexpr int steps = 3;

const OptimizerOptions options{
    .learning_rate = 0.1, .nesterov = true, .weight_decay = 0.1, .scale = Scale::spectral};

/// Weights after some steps, all blocks kept in the given orders with gaps after their lines. Checks that
/// nothing else was written.
template <class Rule, class Scalar, int weights_order, int gradient_order>
Matrix<Scalar> run(Shape shape, Index weights_gap, Index gradient_gap) {
  Random random(default_seed);
  Embedded<Scalar, weights_order> weights(gaussian_block(shape, random), weights_gap);
  Optimizer<Rule, Scalar> optimizer(shape.rows, shape.cols, options);
  for (int step = 0; step < steps; ++step) {
    const Embedded<Scalar, gradient_order> gradient(gaussian_block(shape, random), gradient_gap);
    const Matrix<Scalar> before = gradient.view();
    const Scalar* memory = weights.view().data();
    optimizer.step(weights.view(), gradient.view());
    CHECK(weights.view().data() == memory);
    CHECK(same_bits(gradient.view(), before));
    CHECK(gradient.surroundings_are_intact());
    CHECK(weights.surroundings_are_intact());
  }
  return weights.view();
}

/// The gradient's order and every stride are the same to the bit; so are the weights' orders for a rule that
/// sums nothing. Sums run in the order of memory, so for others two orders agree up to rounding.
template <class Rule, class Scalar>
void check_layouts(bool sums) {
  CAPTURE(default_seed);
  for (const Shape shape : {Shape{6, 4}, Shape{4, 6}, Shape{5, 5}, Shape{1, 4}, Shape{4, 1}, Shape{1, 1}}) {
    CAPTURE(symopt::to_string(shape));
    const Matrix<Scalar> rows = run<Rule, Scalar, row_major, row_major>(shape, 0, 0);
    CHECK(same_bits(run<Rule, Scalar, row_major, column_major>(shape, 0, 0), rows));
    CHECK(same_bits(run<Rule, Scalar, row_major, row_major>(shape, 3, 2), rows));
    CHECK(same_bits(run<Rule, Scalar, row_major, column_major>(shape, 1, 4), rows));
    const Matrix<Scalar> columns = run<Rule, Scalar, column_major, column_major>(shape, 0, 0);
    CHECK(same_bits(run<Rule, Scalar, column_major, row_major>(shape, 0, 0), columns));
    CHECK(same_bits(run<Rule, Scalar, column_major, column_major>(shape, 3, 2), columns));
    CHECK(same_bits(run<Rule, Scalar, column_major, row_major>(shape, 1, 4), columns));
    if (sums) {
      CHECK(relative_error(as_double(columns), as_double(rows)) <= 16 * roundoff<Scalar>);
    } else {
      CHECK(same_bits(columns, rows));
    }
  }
}

TEST_CASE_TEMPLATE("rules that treat every entry alone give the same bits in every layout", Scalar, float,
                   double) {
  check_layouts<Sign, Scalar>(false);
  check_layouts<Update<Trivial>, Scalar>(false);
}

TEST_CASE("the row norm of an embedding and its mirror give the same in every layout") {
  check_layouts<Update<Embedding>, float>(true);
  check_layouts<Update<SwigluOutput>, double>(true);
}

TEST_CASE("a head's projected row norm gives the same in every layout") {
  check_layouts<Update<LmHead>, float>(true);
  check_layouts<Update<LmHead>, double>(true);
}

TEST_CASE("the polar factor gives the same in every layout") {
  check_layouts<Update<HiddenMatrix>, float>(true);
}

/// Steps as AdamW asks for them: it has no momentum options.
template <int weights_order, int gradient_order>
Matrix<float> run_adamw(Index gap) {
  Random random(default_seed);
  Embedded<float, weights_order> weights(gaussian_block({5, 3}, random), gap);
  Optimizer<AdamW> optimizer(5, 3, {.learning_rate = 0.1, .weight_decay = 0.1});
  for (int step = 0; step < steps; ++step) {
    const Embedded<float, gradient_order> gradient(gaussian_block({5, 3}, random), gap);
    optimizer.step(weights.view(), gradient.view());
  }
  CHECK(weights.surroundings_are_intact());
  return weights.view();
}

TEST_CASE("AdamW gives the same bits in every layout") {
  const Matrix<float> rows = run_adamw<row_major, row_major>(0);
  CHECK(same_bits(run_adamw<row_major, column_major>(2), rows));
  CHECK(same_bits(run_adamw<column_major, row_major>(1), rows));
  CHECK(same_bits(run_adamw<column_major, column_major>(0), rows));
}

TEST_CASE("weights may change their storage order between steps") {
  CAPTURE(default_seed);
  Random random(default_seed);
  const Matrix<double> start = gaussian_block({4, 6}, random);
  Matrix<double> still = start, rows = start;
  Embedded<double, column_major> columns(start, 2);
  Optimizer<Update<LmHead>, double> one(4, 6, options), other = one;
  for (int step = 0; step < 6; ++step) {
    const Matrix<double> gradient = gaussian_block({4, 6}, random);
    one.step(still, gradient);
    if (step % 2 == 0) {
      columns.view() = rows;
      other.step(columns.view(), gradient);
      rows = columns.view();
    } else {
      other.step(rows, gradient);
    }
    CHECK(relative_error(rows, still) <= 1e-14);
    CHECK(relative_error(other.momentum(), one.momentum()) <= 1e-15);
  }
}

TEST_CASE("the momentum is seen in the block's shape whatever the storage order of the weights") {
  const Matrix<double> gradient{{1, 2, 3}, {4, 5, 6}};
  Optimizer<Sign, double> optimizer(2, 3, {.momentum = 0.5});
  CHECK(Matrix<double>(optimizer.momentum()) == Matrix<double>::Zero(2, 3));
  Matrix<double> rows = Matrix<double>::Zero(2, 3);
  optimizer.step(rows, gradient);
  CHECK(Matrix<double>(optimizer.momentum()) == 0.5 * gradient);
  Eigen::MatrixXd columns = rows;
  optimizer.step(columns, gradient);
  CHECK(optimizer.momentum().rows() == 2);
  CHECK(optimizer.momentum().cols() == 3);
  CHECK(Matrix<double>(optimizer.momentum()) == 0.75 * gradient);
}

TEST_CASE("weights and gradients may be vectors, blocks of one matrix, fixed-size or formulas") {
  Eigen::VectorXd vector = Eigen::VectorXd::Zero(3);
  Optimizer<Sign, double> column(3, 1, {.learning_rate = 1});
  column.step(vector, Eigen::Vector3d(2, 0, -2));
  CHECK(vector == Eigen::Vector3d(-1, 0, 1));

  Eigen::RowVectorXd row = Eigen::RowVectorXd::Zero(3);
  Optimizer<Sign, double> line(1, 3, {.learning_rate = 1});
  line.step(row, Eigen::RowVector3d(2, 0, -2));
  CHECK(row == Eigen::RowVector3d(-1, 0, 1));

  Eigen::Matrix2d fixed = Eigen::Matrix2d::Zero();
  Optimizer<Sign, double> square(2, 2, {.learning_rate = 1});
  square.step(fixed, -2 * Eigen::Matrix2d::Identity() + Eigen::Matrix2d::Zero());
  CHECK(fixed == Eigen::Matrix2d::Identity());

  // Column ranges of one matrix interleave in memory without an element in common.
  Matrix<double> both = Matrix<double>::Zero(2, 4);
  both.rightCols(2).setOnes();
  square.step(both.leftCols(2), both.rightCols(2));
  CHECK(both.rightCols(2) == Matrix<double>::Ones(2, 2));
  CHECK(both(0, 1) == -1);
}

}}  // namespace optimizer_storage_test
