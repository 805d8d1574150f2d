// SPDX-License-Identifier: Apache-2.0
// A character model as one writes it first with libtorch, trained by torch::optim::AdamW and by the stack
// that takes its place (optimizers.hpp): AdamW at a few rates, symopt at the best of them, unsearched.
// char_transformer [SEED]; with `all [STEPS]`, every optimizer at every rate, three seeds.
#include "model.hpp"
#include "optimizers.hpp"
#include "text.hpp"

#include <symopt/optimizer/schedule.hpp>

#include <torch/torch.h>

#include <cstdint>
#include <cstdlib>
#include <functional>
#include <iomanip>
#include <iostream>
#include <limits>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace {

using namespace char_transformer;

using MakeOptimizer = std::function<OptimizerPointer(const Model&, double rate)>;

double held_out_loss(Model& model, const Text& text) {
  const torch::NoGradGuard no_gradients;
  std::vector<std::int64_t> begins;
  for (std::int64_t i = 0; i < 512; ++i) begins.push_back(i * (text.held_out.size(0) / 512 - 1));
  return loss_on(model, windows(text.held_out, begins)).item<double>();
}

/// The held-out loss after a training. Weights and batches are those of the seed, whatever the optimizer.
double train(const Text& text, const MakeOptimizer& make_optimizer, double rate, std::uint64_t seed,
             std::int64_t steps = 300) {
  torch::manual_seed(seed);
  Model model(text.characters, 64);
  const OptimizerPointer optimizer = make_optimizer(model, rate);
  const symopt::WarmupCosine schedule{.warmup_steps = steps / 10, .total_steps = steps};
  std::mt19937_64 random(seed);
  for (std::int64_t step = 0; step < steps; ++step) {
    for (auto& group : optimizer->param_groups()) group.options().set_lr(rate * schedule(step));
    optimizer->zero_grad();
    loss_on(model, next_batch(text, random)).backward();
    optimizer->step();
  }
  return held_out_loss(model, text);
}

/// Every optimizer at every rate.
void print_all(const Text& text, std::int64_t steps) {
  const std::vector<std::pair<std::string, MakeOptimizer>> optimizers{
      {"AdamW", make_adamw},
      {"AdamW, beta2 0.99",
       [](const Model& model, double rate) {
         return std::make_unique<torch::optim::AdamW>(
             model->parameters(), torch::optim::AdamWOptions(rate).betas({0.9, 0.99}).weight_decay(0.1));
       }},
      {"adaptive_roles", make_symopt},
      {"and Adaptive for SwiGLU", make_symopt_with_adaptive_mlp},
      {"Update", make_symopt_without_adaptive}};
  for (const auto& [name, make] : optimizers)
    for (const double rate : {2e-3, 4e-3, 8e-3, 16e-3, 32e-3}) {
      std::cout << name << " | " << rate;
      for (const std::uint64_t seed : {1, 2, 3})
        std::cout << " | " << train(text, make, rate, seed, steps) << std::flush;
      std::cout << '\n';
    }
}

}  // namespace

int main(int count, char** arguments) {
  torch::set_num_threads(1);
  const Text text;
  std::cout << std::setprecision(5);
  if (count > 1 && arguments[1] == std::string("all")) {
    print_all(text, count > 2 ? std::atoll(arguments[2]) : 300);
    return 0;
  }
  const std::uint64_t seed = count > 1 ? std::strtoull(arguments[1], nullptr, 10) : 1;

  double best_loss = std::numeric_limits<double>::infinity(), best_rate = 0;
  for (const double rate : {4e-3, 8e-3, 16e-3, 32e-3}) {
    const double loss = train(text, make_adamw, rate, seed);
    std::cout << "AdamW at " << rate << ": " << loss << std::endl;
    if (loss < best_loss) {
      best_loss = loss;
      best_rate = rate;
    }
  }
  const double loss = train(text, make_symopt, best_rate, seed);
  std::cout << "symopt at " << best_rate << ", AdamW's best: " << loss << '\n';
  return loss <= best_loss + 0.02 ? 0 : 1;  // false for NaN
}
