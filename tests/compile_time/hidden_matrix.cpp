// SPDX-License-Identifier: Apache-2.0
#include <symopt/symopt.hpp>

void train(symopt::Matrix<float>& weights, const symopt::Matrix<float>& gradient) {
  symopt::Optimizer<symopt::Update<symopt::HiddenMatrix>> optimizer(weights.rows(), weights.cols());
  optimizer.step(weights, gradient);
}
