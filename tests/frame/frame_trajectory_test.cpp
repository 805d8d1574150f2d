// SPDX-License-Identifier: Apache-2.0
// Stateful rules in a moving frame: runs from related starts stay related.
#include "support/frame_rules.hpp"

#include <symopt/check/laws/trajectory.hpp>
#include <symopt/check/symmetry_error.hpp>

#include <doctest/doctest.h>

#include <symopt/check/doctest.hpp>

namespace frame_trajectory_test { namespace {

using namespace symopt;
using namespace symopt_test;

template <class Group, class Scalar = double, class Rule>
check::Report twins(const Rule& rule, std::vector<Shape> shapes = {{6, 4}, {3, 5}, {1, 4}, {4, 1}, {2, 2}}) {
  const auto factory = [rule](Shape shape) {
    return Optimizer<Rule, Scalar>(shape.rows, shape.cols, {.learning_rate = 0.1}, rule);
  };
  return check::check_trajectory<Group>(factory, {.trials = 16, .shapes = std::move(shapes)});
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

TEST_CASE("twins of averaged AdamW stay twins, whatever the memory of the frame") {
  for (const double memory : {0.0, 0.5, 0.95}) {
    CAPTURE(memory);
    const FrameOptions options{.memory = memory};
    SYMOPT_CHECK(twins<RightOrthogonal>(frame_average<RightOrthogonal>(AdamW{}, options)));
    SYMOPT_CHECK(twins<Embedding>(frame_average<Embedding>(AdamW{}, options)));
    SYMOPT_CHECK(twins<HiddenMatrix>(frame_average<HiddenMatrix>(AdamW{}, options)));
  }
  SYMOPT_CHECK(twins<LmHead>(frame_average<LmHead>(AdamW{})));
  SYMOPT_CHECK(twins<Embedding, float>(frame_average<Embedding>(AdamW{})));
}

TEST_CASE("twins of AdamW and of frames with loose signs part") {
  SYMOPT_CHECK_VERDICT(check::Verdict::violated, twins<RightOrthogonal>(AdamW{}));
  SYMOPT_CHECK_VERDICT(check::Verdict::violated, twins<RightOrthogonal>(AdamWithoutContinuedSigns{}));
}

TEST_CASE("twins stay twins for rules that read the weights or commute with nothing") {
  SYMOPT_CHECK(twins<Embedding>(frame_average<Embedding>(Cautious{})));
  SYMOPT_CHECK_VERDICT(check::Verdict::violated, twins<Embedding>(Cautious{}));
  SYMOPT_CHECK(twins<RowPermutation>(frame_average<RowPermutation>(CrookedMomentum{})));
  SYMOPT_CHECK_VERDICT(check::Verdict::violated, twins<RowPermutation>(CrookedMomentum{}));
  const std::vector<Shape> small{{2, 2}, {3, 2}, {2, 4}};
  SYMOPT_CHECK(twins<Embedding>(frame_average<Embedding>(CrookedMomentum{}), small));
  SYMOPT_CHECK(twins<LmHead>(frame_average<LmHead>(CrookedMomentum{}), small));
  SYMOPT_CHECK(twins<HiddenMatrix>(frame_average<HiddenMatrix>(CrookedMomentum{}), small));
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
  CHECK(check::symmetry_error<Embedding>(rule, gradients).worst <= 1e-6);
  CHECK(check::symmetry_error<Embedding>(slow, gradients).worst <= 1e-6);
  CHECK(check::symmetry_error<Embedding>(AdamW{}, gradients).worst > 0.01);

  // Repeated singular values after the first step: the frame goes on from the last one.
  gradients.assign(1, gaussian_block(shape, random));
  for (int i = 0; i < 3; ++i) gradients.push_back(block_with_spectrum(shape, {1, 1, 1, 1}, random));
  CHECK(check::symmetry_error<Embedding>(rule, gradients).worst <= 1e-6);
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

}}  // namespace frame_trajectory_test
