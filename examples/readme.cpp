// SPDX-License-Identifier: Apache-2.0
#include <symopt/symopt.hpp>

#include <iostream>

using namespace symopt;

int main() {
  // Your model's weights and the gradients that its backward pass fills, in memory that stays yours.
  Matrix<float> embedding = Matrix<float>::Random(512, 64), d_embedding = Matrix<float>::Random(512, 64);
  Matrix<float> hidden = Matrix<float>::Random(64, 64), d_hidden = Matrix<float>::Random(64, 64);
  Matrix<float> head = Matrix<float>::Random(512, 64), d_head = Matrix<float>::Random(512, 64);

  LayerwiseOptimizer optimizer({.learning_rate = 1e-3, .weight_decay = 0.1});  // the numbers of your AdamW
  optimizer.add<Adaptive<Embedding>>("embedding", embedding, d_embedding);
  optimizer.add<HiddenMatrix>("hidden", hidden, d_hidden);
  optimizer.add<Adaptive<LmHead>>("head", head, d_head);

  optimizer.step();  // after every backward pass: all weights are updated in place
  std::cout << optimizer.plan();
}
