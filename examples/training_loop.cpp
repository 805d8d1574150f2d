// SPDX-License-Identifier: Apache-2.0
// A whole training: a network of three layers learns to tell three spirals apart.
#include <symopt/symopt.hpp>

#include <cmath>
#include <iostream>
#include <random>

using namespace symopt;
using Block = Matrix<float>;

/// y = x Wᵀ + b, one sample in each row, and the gradients of its weights.
struct Layer {
  Block weights, bias, d_weights, d_bias;

  Layer(Index in, Index out, std::mt19937_64& random)
      : weights(gaussian<float>({out, in}, random) / std::sqrt(static_cast<float>(in))),
        bias(Block::Zero(1, out)),
        d_weights(out, in),
        d_bias(1, out) {}
  Block forward(const Block& x) const { return (x * weights.transpose()).rowwise() + bias.row(0); }
  Block backward(const Block& x, const Block& d_y) {
    d_weights = d_y.transpose() * x;
    d_bias = d_y.colwise().sum();
    return d_y * weights;
  }
};

int main() {
  constexpr Index batch = 96, classes = 3, width = 64;
  constexpr int steps = 600;
  std::mt19937_64 random(1);
  Layer first(2, width, random), hidden(width, width, random), head(width, classes, random);

  LayerwiseOptimizer optimizer({.learning_rate = 0.01});
  optimizer.add<RowPermutation>("first", first.weights, first.d_weights);  // two inputs with a meaning each
  optimizer.add<HiddenMatrix>("hidden", hidden.weights, hidden.d_weights);
  optimizer.add<LmHead>("head", head.weights, head.d_weights);  // it ends in a softmax
  optimizer.add<AdamW>("first.bias", first.bias, first.d_bias);
  optimizer.add<AdamW>("hidden.bias", hidden.bias, hidden.d_bias);
  optimizer.add<AdamW>("head.bias", head.bias, head.d_bias);
  std::cout << optimizer.plan();

  const WarmupCosine schedule{.warmup_steps = 20, .total_steps = steps};
  std::uniform_real_distribution<float> uniform(0, 1);
  std::cout.precision(1);
  float loss = 0;
  for (int step = 0; step < steps; ++step) {
    Block x(batch, 2), target = Block::Zero(batch, classes);
    for (Index i = 0; i < batch; ++i) {
      const float radius = uniform(random), angle = 6 * radius + 2.0944F * static_cast<float>(i % classes);
      x.row(i) << 2 * radius * std::cos(angle), 2 * radius * std::sin(angle);
      target(i, i % classes) = 1;
    }
    const Block a = first.forward(x).array().tanh(), b = hidden.forward(a).array().tanh();
    Block p = head.forward(b).array().exp();  // logits, and then probabilities
    p.array().colwise() /= p.rowwise().sum().array().eval();
    loss = -(p.array().log() * target.array()).sum() / batch;
    if (step % 100 == 0 || step == steps - 1) std::cout << "step " << step << ", loss " << loss << '\n';

    const Block d_b = head.backward(b, (p - target) / batch);
    const Block d_a = hidden.backward(a, (d_b.array() * (1 - b.array().square())).matrix());
    first.backward(x, (d_a.array() * (1 - a.array().square())).matrix());
    optimizer.set_schedule_factor(schedule(step));
    optimizer.step();  // all weights, in place
  }
  return loss < 0.1F ? 0 : 1;
}
