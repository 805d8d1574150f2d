// SPDX-License-Identifier: Apache-2.0
// expect: the weights are a temporary that ends with the call, and the step with it
#include <symopt/symopt.hpp>

using namespace symopt;

void train(Matrix<float>& weights, const Matrix<float>& gradient) {
  Optimizer<Update<LmHead>> optimizer(weights.rows(), weights.cols());
#ifdef WRONG
  optimizer.step(Matrix<float>(weights), gradient);
#else
  optimizer.step(weights.topRows(weights.rows()), gradient);
#endif
}
