// SPDX-License-Identifier: Apache-2.0
// A trainer over raw buffers before and after symopt, and the numbers of AdamW and SGD that carry over, each
// compared with the formulas that torch.optim states. docs/coming-from-adamw.md quotes the lines.
#include <symopt/diagnostics/diagnostics.hpp>
#include <symopt/symopt.hpp>

#include <algorithm>
#include <cmath>
#include <iostream>
#include <random>
#include <vector>

using namespace symopt;

namespace {

/// torch.optim.AdamW with its defaults, over flat memory.
struct PlainAdamW {
  double learning_rate, weight_decay;
  std::vector<double> first{}, second{};
  int step_number = 0;

  template <class Scalar>
  void step(std::vector<Scalar>& weights, const std::vector<Scalar>& gradient, double factor = 1) {
    first.resize(weights.size());
    second.resize(weights.size());
    ++step_number;
    const double rate = factor * learning_rate;
    for (std::size_t i = 0; i < weights.size(); ++i) {
      const double g = gradient[i];
      first[i] = 0.9 * first[i] + 0.1 * g;
      second[i] = 0.999 * second[i] + 0.001 * g * g;
      const double mean = first[i] / (1 - std::pow(0.9, step_number));
      const double root = std::sqrt(second[i] / (1 - std::pow(0.999, step_number)));
      const double kept = (1 - rate * weight_decay) * weights[i];
      weights[i] = static_cast<Scalar>(kept - rate * mean / (root + 1e-8));
    }
  }
};

constexpr Index vocabulary = 48, width = 16;

/// logits = head hidden embedding[token] and the loss of the next token; all weights in one memory, all
/// gradients in another.
struct Trainer {
  std::vector<float> weights{}, gradients{};
  struct Part {
    Index offset, rows;
  };
  static constexpr Part embedding{0, vocabulary}, hidden{vocabulary * width, width},
      head{(vocabulary + width) * width, vocabulary};

  Trainer() : weights((2 * vocabulary + width) * width), gradients(weights.size()) {
    std::mt19937_64 random(7);
    std::normal_distribution<float> entry(0, 0.25F);
    std::ranges::generate(weights, [&] { return entry(random); });
  }

  TensorView<float> weights_of(Part part) { return {weights.data() + part.offset, {part.rows, width}}; }
  TensorView<const float> gradient_of(Part part) const {
    return {gradients.data() + part.offset, {part.rows, width}};
  }

  /// The loss on all tokens, and its gradients.
  float backward() {
    const auto block = [](std::vector<float>& memory, Part part) {
      return Eigen::Map<Matrix<float>>(memory.data() + part.offset, part.rows, width);
    };
    const auto e = block(weights, embedding), w = block(weights, hidden), h = block(weights, head);
    const Matrix<float> features = e * w.transpose();  // [tokens, width]
    Matrix<float> d_logits = features * h.transpose();
    float loss = 0;
    for (Index token = 0; token < vocabulary; ++token) {
      const Index next = (5 * token + 3) % vocabulary;
      auto row = d_logits.row(token);
      row.array() -= row.maxCoeff();
      row = (row.array().exp() / row.array().exp().sum()).matrix().eval();
      loss -= std::log(row(next)) / vocabulary;
      row(next) -= 1;
    }
    d_logits /= vocabulary;
    const Matrix<float> d_features = d_logits * h;
    block(gradients, head) = d_logits.transpose() * features;
    block(gradients, hidden) = d_features.transpose() * e;
    block(gradients, embedding) = d_features * w;
    return loss;
  }
};

/// Rate and decay as they are for AdamW, unsearched.
constexpr double rate = 1e-2, decay = 0.1;
constexpr int steps = 150;
const WarmupCosine schedule{.warmup_steps = 10, .total_steps = steps};

float with_adamw() {
  Trainer trainer;
  PlainAdamW adamw{.learning_rate = rate, .weight_decay = decay};
  for (int step = 0; step < steps; ++step) {
    trainer.backward();
    adamw.step(trainer.weights, trainer.gradients, schedule(step));
  }
  return trainer.backward();
}

float with_stack() {
  Trainer trainer;
  // Instead of an AdamW over all of the memory:
  LayerwiseOptimizer stack({.learning_rate = rate, .weight_decay = decay});
  stack.add<Adaptive<Embedding>>("embedding", trainer.weights_of(Trainer::embedding),
                                 trainer.gradient_of(Trainer::embedding));
  stack.add<HiddenMatrix>("hidden", trainer.weights_of(Trainer::hidden),
                          trainer.gradient_of(Trainer::hidden));
  stack.add<Adaptive<LmHead>>("head", trainer.weights_of(Trainer::head), trainer.gradient_of(Trainer::head));
  for (int step = 0; step < steps; ++step) {
    trainer.backward();
    if (step == 50) std::cout << diagnose(stack) << '\n';
    stack.set_schedule_factor(schedule(step));
    stack.step();
  }
  return trainer.backward();
}

/// A wrong rate as diagnose shows it: a number in the stack's units, for a parameter whose units are others.
void print_wrong_rates() {
  Trainer trainer;
  trainer.backward();
  LayerwiseOptimizer stack({.learning_rate = 1e-3});
  stack.add<Embedding>("embedding", trainer.weights_of(Trainer::embedding),
                       trainer.gradient_of(Trainer::embedding));
  stack.add<HiddenMatrix>("hidden", trainer.weights_of(Trainer::hidden), trainer.gradient_of(Trainer::hidden),
                          {.learning_rate = 0.02});
  stack.add<Adaptive<LmHead>>("head", trainer.weights_of(Trainer::head), trainer.gradient_of(Trainer::head),
                              {.learning_rate = 0.05});
  std::cout << diagnose(stack) << '\n';
}

using Block = Matrix<double>;

/// Five steps of an optimizer beside those of formulas on the same gradients.
bool agrees(const char* name, auto ours, auto formulas) {
  std::mt19937_64 random(3);
  std::normal_distribution<double> normal;
  const auto draw = [&] {
    return Block(Block::NullaryExpr(12, 8, [&](Index, Index) { return normal(random); }));
  };
  Block weights = draw(), expected = weights;
  for (int step = 0; step < 5; ++step) {
    const Block gradient = draw();
    ours(weights, gradient);
    formulas(expected, gradient);
  }
  const double error = (weights - expected).norm() / expected.norm();
  std::cout << name << ": off by " << error << '\n';
  return error <= 1e-12;
}

bool adamw_agrees() {
  // torch.optim.AdamW(lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.1)
  Optimizer<AdamW, double> optimizer(12, 8, {.learning_rate = 1e-3, .weight_decay = 0.1},
                                     {.beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8});
  PlainAdamW plain{.learning_rate = 1e-3, .weight_decay = 0.1};
  return agrees(
      "AdamW", [&](Block& w, const Block& g) { optimizer.step(w, g); },
      [&](Block& w, const Block& g) {
        std::vector<double> flat(w.data(), w.data() + w.size());
        plain.step(flat, std::vector<double>(g.data(), g.data() + g.size()));
        std::ranges::copy(flat, w.data());
      });
}

bool sgd_agrees() {
  // torch.optim.SGD(lr=0.1, momentum=0.9, nesterov=True, weight_decay=5e-4)
  const double l2 = 5e-4;
  Optimizer<Update<Trivial>, double> optimizer(12, 8,
                                               {.learning_rate = 0.1,
                                                .momentum = 0.9,
                                                .momentum_convention = MomentumConvention::heavy_ball,
                                                .nesterov = true});
  Block momentum = Block::Zero(12, 8);
  return agrees(
      "SGD",
      [&](Block& weights, const Block& gradient) {
        const Block regularized = gradient + l2 * weights;  // torch's SGD has its decay in the gradient
        optimizer.step(weights, regularized);
      },
      [&](Block& w, const Block& g) {
        const Block d = g + l2 * w;
        momentum = 0.9 * momentum + d;
        w -= 0.1 * (d + 0.9 * momentum);
      });
}

}  // namespace

int main() {
  const float adamw = with_adamw(), stack = with_stack();
  print_wrong_rates();
  std::cout << "loss at AdamW's rate: AdamW " << adamw << ", stack " << stack << '\n';
  const bool agree[] = {adamw_agrees(), sgd_agrees()};
  const bool learned = stack < 0.1F * std::log(float{vocabulary});  // a tenth of what guessing costs
  return agree[0] && agree[1] && learned ? 0 : 1;
}
