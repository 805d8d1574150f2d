// SPDX-License-Identifier: Apache-2.0
#include "spectral_benchmark.hpp"

#include <torch/torch.h>

namespace symopt_benchmark {

namespace {

class Step final : public TorchNewtonSchulz {
 public:
  Step(long blocks, long rows, long cols, bool batched)
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

}  // namespace

std::unique_ptr<TorchNewtonSchulz> torch_newton_schulz(long blocks, long rows, long cols, bool batched,
                                                       int threads) {
  at::set_num_threads(threads);
  return std::make_unique<Step>(blocks, rows, cols, batched);
}

}  // namespace symopt_benchmark
