// SPDX-License-Identifier: Apache-2.0
// Stateful rules in a moving frame: runs from related starts stay related.
#include "support/frame_rules.hpp"

#include <doctest/doctest.h>

namespace {

using namespace symopt;
using namespace symopt_test;

// Twin runs: the same gradients, moved from the start by one element.
template <class Group, class Scalar, class Rule>
double twin_error(const Rule& rule, const Matrix<double>& start, const std::vector<Matrix<double>>& gradients,
                  int draws = 3) {
  Random random(default_seed + 3);
  const Shape shape = shape_of(start);
  Worst worst;
  for (int i = 0; i < draws; ++i) {
    const auto g = Group::template random<double>(shape, random);
    Matrix<double> moved_start = start;
    Group::act_on_weights(g, moved_start);
    Matrix<Scalar> still = start.cast<Scalar>(), moved = moved_start.cast<Scalar>();
    Optimizer<Rule, Scalar> one(shape.rows, shape.cols, {.learning_rate = 0.1}, rule);
    Optimizer<Rule, Scalar> two = one;
    for (const Matrix<double>& gradient : gradients) {
      Matrix<double> moved_gradient = gradient;
      Group::act_on_gradient(g, moved_gradient);
      one.step(still, gradient.cast<Scalar>());
      two.step(moved, moved_gradient.cast<Scalar>());
      Matrix<double> expected = as_double(still);
      Group::act_on_weights(g, expected);
      worst.add(relative_error(as_double(moved), expected));
    }
  }
  return worst.value();
}

std::vector<Matrix<double>> series(Shape shape, int steps = 12) {
  Random random(default_seed + 11);
  std::vector<Matrix<double>> gradients;
  for (int i = 0; i < steps; ++i) gradients.push_back(gaussian_block(shape, random));
  return gradients;
}

/// By its own frames, with fresh signs at each step: what happens to a state in coordinates that flip.
struct AdamWithoutContinuedSigns : AdamW {
  template <class Weights, class Gradient, class Scalar, class Direction>
  void operator()(const Weights& weights, const Gradient& gradient, State<Scalar>& state,
                  Direction& direction) const {
    const Eigen::SelfAdjointEigenSolver<Matrix<Scalar>> solver(
        Matrix<Scalar>(gradient.transpose() * gradient));
    const Matrix<Scalar> axes = solver.eigenvectors();
    const Matrix<Scalar> seen = gradient * axes;
    Matrix<Scalar> turned = seen;
    AdamW::operator()(weights, seen, state, turned);
    direction = turned * axes.transpose();
  }
};

TEST_CASE("twins of averaged AdamW stay twins; twins of AdamW and of frames with loose signs do not") {
  CAPTURE(default_seed);
  for (const Shape shape : {Shape{6, 4}, Shape{3, 5}, Shape{1, 4}, Shape{4, 1}}) {
    CAPTURE(to_string(shape));
    const auto gradients = series(shape);
    const Matrix<double> start = gradients.back();
    for (const double memory : {0.0, 0.5, 0.95}) {
      CAPTURE(memory);
      const FrameOptions options{.memory = memory};
      CHECK(twin_error<RightOrthogonal, double>(frame_average<RightOrthogonal>(AdamW{}, options), start,
                                                gradients) <= 1e-8);
      CHECK(twin_error<Embedding, double>(frame_average<Embedding>(AdamW{}, options), start, gradients) <=
            1e-8);
      CHECK(twin_error<HiddenMatrix, double>(frame_average<HiddenMatrix>(AdamW{}, options), start,
                                             gradients) <= 1e-8);
    }
    CHECK(twin_error<LmHead, double>(frame_average<LmHead>(AdamW{}), start, gradients) <= 1e-8);
    CHECK(twin_error<Embedding, float>(frame_average<Embedding>(AdamW{}), start, gradients) <= 1e-3);
  }
  const auto gradients = series({6, 4});
  CHECK(twin_error<RightOrthogonal, double>(AdamW{}, gradients.back(), gradients) > 0.01);
  CHECK(twin_error<RightOrthogonal, double>(AdamWithoutContinuedSigns{}, gradients.back(), gradients) > 0.01);
}

TEST_CASE("twins stay twins for rules that read the weights or commute with nothing") {
  CAPTURE(default_seed);
  const auto gradients = series({5, 3}, 8);
  const Matrix<double> start = gradients.back();
  const auto averaged = frame_average<Embedding>(Cautious{});
  CHECK(twin_error<Embedding, double>(averaged, start, gradients) <= 1e-10);
  CHECK(twin_error<Embedding, double>(Cautious{}, start, gradients) > 1e-3);
  CHECK(twin_error<RowPermutation, double>(frame_average<RowPermutation>(CrookedMomentum{}), start,
                                           gradients) <= 1e-14);
  CHECK(twin_error<RowPermutation, double>(CrookedMomentum{}, start, gradients) > 1e-2);
  CHECK(twin_error<Embedding, double>(frame_average<Embedding>(CrookedMomentum{}), start, gradients) <=
        1e-10);
  CHECK(twin_error<LmHead, double>(frame_average<LmHead>(CrookedMomentum{}), start, gradients) <= 1e-10);
  CHECK(twin_error<HiddenMatrix, double>(frame_average<HiddenMatrix>(CrookedMomentum{}), start, gradients) <=
        1e-10);
}

TEST_CASE("hard gradients on the way: zeros, low rank, integers, equal rows, axes that trade places") {
  CAPTURE(default_seed);
  Random random(default_seed);
  const Shape shape{5, 4};
  const auto rule = frame_average<Embedding>(AdamW{}, {.memory = 0});
  const auto slow = frame_average<Embedding>(AdamW{});
  std::vector<Matrix<double>> gradients;
  gradients.push_back(Matrix<double>::Zero(5, 4));
  gradients.push_back(block_with_spectrum(shape, {2}, random));
  gradients.push_back(block_with_spectrum(shape, {2, 1}, random));
  gradients.push_back(Matrix<double>::Zero(5, 4));
  gradients.push_back(gaussian_block(shape, random));
  gradients.push_back(integer_block(shape, random));
  Matrix<double> equal_rows = gaussian_block(shape, random);
  equal_rows.row(4) = equal_rows.row(1);
  gradients.push_back(equal_rows);
  // The largest direction becomes the smallest and comes back.
  for (const double weight : {1.0, 4.0, 1.0}) {
    Matrix<double> crossed = Matrix<double>::Zero(5, 4);
    crossed.diagonal() << 2, weight, 0.5, 0.25;
    crossed.row(4).setConstant(0.01);
    gradients.push_back(crossed);
  }
  const Matrix<double> start = gaussian_block(shape, random);
  CHECK(twin_error<Embedding, double>(rule, start, gradients) <= 1e-6);
  CHECK(twin_error<Embedding, double>(slow, start, gradients) <= 1e-6);
  CHECK(twin_error<Embedding, double>(AdamW{}, start, gradients) > 0.01);

  // Repeated singular values after the first step: the frame goes on from the last one.
  gradients.assign(1, gaussian_block(shape, random));
  for (int i = 0; i < 3; ++i) gradients.push_back(block_with_spectrum(shape, {1, 1, 1, 1}, random));
  CHECK(twin_error<Embedding, double>(rule, start, gradients) <= 1e-6);
}

TEST_CASE("the state keeps its coordinates when singular values trade places") {
  Optimizer<FrameAveraged<RightOrthogonal, AdamW>, double> optimizer(3, 2, {}, {AdamW{}, {.memory = 0}});
  Matrix<double> weights = Matrix<double>::Zero(3, 2);
  optimizer.step(weights, Matrix<double>{{2, 0}, {0, 1}, {0, 0}});
  const Matrix<double> before = optimizer.state().right.axes;
  optimizer.step(weights, Matrix<double>{{1, 0}, {0, 2}, {0, 0}});
  CHECK(relative_error(optimizer.state().right.axes, before) <= 1e-14);
  CHECK(optimizer.state().report.is_exact);
}

TEST_CASE("what a stateful average cannot keep is reported") {
  CAPTURE(default_seed);
  Random random(default_seed);
  const auto report_of = [](const auto& rule, const Matrix<double>& gradient) {
    Optimizer<std::remove_cvref_t<decltype(rule)>, double> optimizer(gradient.rows(), gradient.cols(), {},
                                                                     rule);
    Matrix<double> weights = gradient;
    optimizer.step(weights, gradient);
    return optimizer.state().report;
  };
  const Matrix<double> hadamard{{1, 1}, {1, -1}};
  CHECK_FALSE(report_of(frame_average<RightOrthogonal>(AdamW{}), hadamard).is_exact);
  CHECK(report_of(frame_average<RightOrthogonal>(AdamW{}), gaussian_block({3, 12}, random)).is_exact);
  const auto crooked = frame_average<RightOrthogonal>(CrookedMomentum{});
  CHECK(report_of(crooked, gaussian_block({5, 8}, random)).is_exact);
  CHECK(report_of(crooked, gaussian_block({5, 8}, random)).frames == 256);
  CHECK_FALSE(report_of(crooked, gaussian_block({5, 9}, random)).is_exact);
}

TEST_CASE("no frame is taken where the rule commutes with the group") {
  CAPTURE(default_seed);
  const auto gradients = series({5, 3});
  Matrix<double> plain = gradients.back(), averaged = plain;
  Optimizer<AdamW, double> one(5, 3);
  Optimizer<FrameAveraged<Product<RowPermutation, ColumnPermutation>, AdamW>, double> two(5, 3);
  for (const Matrix<double>& gradient : gradients) {
    one.step(plain, gradient);
    two.step(averaged, gradient);
  }
  CHECK(same_bits(plain, averaged));
}

template <class Block, class Rule>
Matrix<double> trained(const Rule& rule) {
  const auto gradients = series({5, 3});
  Block weights = gradients.back();
  Optimizer<Rule, double> optimizer(5, 3, {.learning_rate = 0.1}, rule);
  for (const Matrix<double>& gradient : gradients) {
    const Block own = gradient;
    optimizer.step(weights, own);
  }
  return weights;
}

TEST_CASE("column-major memory gives the same") {
  CHECK(relative_error(trained<Eigen::MatrixXd>(frame_average<Embedding>(AdamW{})),
                       trained<Matrix<double>>(frame_average<Embedding>(AdamW{}))) <= 1e-14);
  CHECK(relative_error(trained<Eigen::MatrixXd>(frame_average<Embedding>(MaxAbs{})),
                       trained<Matrix<double>>(frame_average<Embedding>(MaxAbs{}))) <= 1e-14);
}

TEST_CASE("every option changes the result") {
  const auto base = trained<Matrix<double>>(frame_average<Embedding>(AdamW{}));
  CHECK(relative_error(trained<Matrix<double>>(frame_average<Embedding>(AdamW{}, {.memory = 0.5})), base) >
        1e-3);
  CHECK(relative_error(trained<Matrix<double>>(frame_average<Embedding>(AdamW{.beta1 = 0.5})), base) > 1e-3);
  CHECK(relative_error(trained<Matrix<double>>(frame_average<Embedding>(AdamW{}, {.tie = 0.5})), base) >
        1e-3);
}

TEST_CASE("a non-finite gradient leaves weights and state as they were") {
  Optimizer<FrameAveraged<Embedding, AdamW>, double> optimizer(3, 2, {.non_finite = NonFinite::skip});
  Matrix<double> weights = Matrix<double>::Ones(3, 2);
  optimizer.step(weights, Matrix<double>{{1, 2}, {3, 4}, {5, 7}});
  const Matrix<double> before = weights, axes = optimizer.state().right.axes;
  Matrix<double> bad = weights;
  bad(0, 0) = infinity;
  CHECK_FALSE(optimizer.step(weights, bad).applied);
  CHECK(same_bits(weights, before));
  CHECK(same_bits(optimizer.state().right.axes, axes));
}

}  // namespace
