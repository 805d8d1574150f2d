// SPDX-License-Identifier: Apache-2.0
#include "spectral_benchmark.hpp"

#include <torch/torch.h>

#include <algorithm>

namespace symopt_benchmark {

namespace {

class NewtonSchulz final : public TorchStep {
 public:
  NewtonSchulz(long blocks, long rows, long cols, bool batched)
      : batched_(batched),
        weights_(torch::randn({blocks, rows, cols})),
        gradient_(torch::randn({blocks, rows, cols})),
        momentum_(torch::zeros({blocks, rows, cols})) {}

  void step() override {
    const torch::NoGradGuard guard;
    if (batched_) {
      step_on(weights_, gradient_, momentum_);
    } else {
      for (long b = 0; b < weights_.size(0); ++b) {
        torch::Tensor weights = weights_[b];
        torch::Tensor momentum = momentum_[b];
        step_on(weights, gradient_[b], momentum);
      }
    }
  }

 private:
  static void step_on(torch::Tensor& weights, const torch::Tensor& gradient, torch::Tensor& momentum) {
    momentum.lerp_(gradient, 0.05);
    torch::Tensor x = momentum;
    const bool is_tall = x.size(-2) > x.size(-1);
    if (is_tall) x = x.mT();
    x = x / (x.norm(2, {-2, -1}, true) + 1e-7);
    for (int i = 0; i < 5; ++i) {
      const torch::Tensor a = torch::matmul(x, x.mT());
      const torch::Tensor b = -4.7750 * a + 2.0315 * torch::matmul(a, a);
      x = 3.4445 * x + torch::matmul(b, x);
    }
    if (is_tall) x = x.mT();
    weights.add_(x, -0.02);
  }

  bool batched_;
  torch::Tensor weights_, gradient_, momentum_;
};

class Shampoo final : public TorchStep {
 public:
  Shampoo(long rows, long cols, int every)
      : every_(every),
        is_tall_(rows > cols),
        weights_(torch::randn({rows, cols})),
        gradient_(torch::randn({rows, cols})),
        momentum_(torch::zeros({rows, cols})),
        moments_(torch::zeros({std::min(rows, cols), std::min(rows, cols)})) {}

  void step() override {
    const torch::NoGradGuard guard;
    momentum_.lerp_(gradient_, 0.1);
    const torch::Tensor g = is_tall_ ? gradient_.mT() : gradient_;
    moments_.mul_(0.99).addmm_(g, g.mT(), 1, 0.01 / static_cast<double>(g.size(1)));
    if (steps_++ % every_ == 0) {
      const auto [values, vectors] = torch::linalg_eigh(moments_);
      root_ = torch::matmul(vectors * values.clamp_min(1e-16).rsqrt(), vectors.mT());
    }
    weights_.add_(is_tall_ ? torch::matmul(momentum_, root_) : torch::matmul(root_, momentum_), -1e-3);
  }

 private:
  int every_;
  bool is_tall_;
  long steps_ = 0;
  torch::Tensor weights_, gradient_, momentum_, moments_, root_;
};

}  // namespace

std::unique_ptr<TorchStep> torch_shampoo(long rows, long cols, int every, int threads) {
  at::set_num_threads(threads);
  return std::make_unique<Shampoo>(rows, cols, every);
}

std::unique_ptr<TorchStep> torch_newton_schulz(long blocks, long rows, long cols, bool batched, int threads) {
  at::set_num_threads(threads);
  return std::make_unique<NewtonSchulz>(blocks, rows, cols, batched);
}

}  // namespace symopt_benchmark
