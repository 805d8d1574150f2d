// SPDX-License-Identifier: Apache-2.0
// bfloat16 in four ways: gradients in, weights out beside float ones, float weights in two halves, and
// weights that are nothing but bfloat16.
#include <symopt/symopt.hpp>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <iostream>

using namespace symopt;

namespace {

constexpr Index rows = 64, cols = 48;

/// The gradient of half the squared distance to a block of ones.
template <class Weights>
Matrix<bfloat16> gradient_at(const Weights& weights) {
  Matrix<bfloat16> gradient(rows, cols);
  for (Index i = 0; i < rows; ++i)
    for (Index j = 0; j < cols; ++j) gradient(i, j) = to_bfloat16(static_cast<float>(weights(i, j)) - 1.0F);
  return gradient;
}

Matrix<float> beside_floats() {
  Matrix<float> weights = Matrix<float>::Zero(rows, cols);
  Matrix<bfloat16> copy = Matrix<bfloat16>::Zero(rows, cols);
  Optimizer<Update<Embedding>> optimizer(rows, cols, {.learning_rate = 0.1, .momentum = 0});
  for (int step = 0; step < 100; ++step) {
    const Matrix<bfloat16> gradient = gradient_at(copy);  // the model computes with the copy
    optimizer.step(weights, gradient, copy);
  }
  return weights;
}

Matrix<float> in_two_halves() {
  const Matrix<float> start = Matrix<float>::Zero(rows, cols);
  Matrix<bfloat16> high(rows, cols);      // what the model computes with
  Matrix<std::uint16_t> low(rows, cols);  // the bits that it does not see
  split(start, split_weights(high, low));
  Optimizer<Update<Embedding>> optimizer(rows, cols, {.learning_rate = 0.1, .momentum = 0});
  for (int step = 0; step < 100; ++step) optimizer.step(split_weights(high, low), gradient_at(high));
  return joined(split_weights(high, low));
}

Matrix<bfloat16> with_chance() {
  const std::uint64_t seed = 1;
  Matrix<bfloat16> weights = Matrix<bfloat16>::Zero(rows, cols);
  Optimizer<Update<Embedding>> optimizer(rows, cols, {.learning_rate = 0.01, .momentum = 0});
  for (int step = 0; step < 1000; ++step) optimizer.step(stochastic(weights, seed), gradient_at(weights));
  return weights;
}

Matrix<float> in_a_stack() {
  Matrix<float> weights = Matrix<float>::Zero(rows, cols);
  Matrix<bfloat16> gradient(rows, cols), copy = Matrix<bfloat16>::Zero(rows, cols);
  LayerwiseOptimizer stack;
  stack.add<Embedding>("wte", weights, gradient, {.learning_rate = 0.1, .momentum = 0});
  stack.set_copy("wte", copy);
  for (int step = 0; step < 100; ++step) {
    gradient.array() = gradient_at(copy).array();  // into the memory that the stack looks at
    stack.step();
  }
  return weights;
}

/// The distance of the weights' mean from 1.
template <class Weights>
double miss(const char* how, const Weights& weights) {
  double sum = 0;
  for (Index i = 0; i < rows; ++i)
    for (Index j = 0; j < cols; ++j) sum += static_cast<double>(static_cast<float>(weights(i, j)));
  const double distance = std::abs(sum / double(rows * cols) - 1);
  std::cout << how << ": " << distance << " from the minimum\n";
  return distance;
}

}  // namespace

int main() {
  const double worst =
      std::max({miss("beside floats", beside_floats()), miss("in two halves", in_two_halves()),
                miss("with chance", with_chance()), miss("in a stack", in_a_stack())});
  return worst <= 0.05 ? EXIT_SUCCESS : EXIT_FAILURE;
}
