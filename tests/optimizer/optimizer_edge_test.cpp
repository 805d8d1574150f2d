// SPDX-License-Identifier: Apache-2.0
// The edges of what an optimizer is given: zero, empty and one-line blocks.
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
}

TEST_CASE("a single entry moves by the learning rate against its gradient") {
  Optimizer<Update<HiddenMatrix>, double> optimizer(1, 1, {.learning_rate = 0.25});
  Matrix<double> weights{{1}};
  optimizer.step(weights, Matrix<double>{{-1e-20}});
  CHECK(weights(0, 0) == doctest::Approx(1.25));
}

}}  // namespace optimizer_edge_test
