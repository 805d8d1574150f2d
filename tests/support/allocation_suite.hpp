// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "support/allocation_count.hpp"
#include "support/inputs.hpp"

#include <symopt/optimizer/optimizer.hpp>

#include <doctest/doctest.h>

namespace symopt_test {

using symopt::Decay;
using symopt::Optimizer;
using symopt::OptimizerOptions;
using symopt::Scale;

/// The allocations of a call.
long counted(const auto& call) {
  const long before = allocations.load();
  call();
  return allocations.load() - before;
}

/// The allocations of three steps, the first one among them; of column-major weights, those after a first
/// step, which takes what that order needs besides.
template <class Rule, class Scalar, int weights_order, int gradient_order>
long allocations_of_steps(Shape shape, const OptimizerOptions& options, const Rule& rule) {
  Random random(default_seed);
  const Matrix<double> values = gaussian_block(shape, random);
  Eigen::Matrix<Scalar, Eigen::Dynamic, Eigen::Dynamic, weights_order> weights = values.cast<Scalar>();
  const Eigen::Matrix<Scalar, Eigen::Dynamic, Eigen::Dynamic, gradient_order> gradient =
      values.cast<Scalar>();
  Optimizer<Rule, Scalar> optimizer(shape.rows, shape.cols, options, rule);
  if (weights_order == Eigen::ColMajor) optimizer.step(weights, gradient);
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

inline const OptimizerOptions usual{.nesterov = true, .weight_decay = 0.1, .scale = Scale::aspect};
inline const OptimizerOptions horizontal{.weight_decay = 0.1, .decay = Decay::horizontal};
inline constexpr Shape small{24, 16};
inline constexpr Shape large{300, 200};

}  // namespace symopt_test
