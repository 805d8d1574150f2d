// SPDX-License-Identifier: Apache-2.0
// The same steps by libtorch: the published algorithm in tensor operations, and its AdamW.
#include <ATen/Parallel.h>
#include <benchmark/benchmark.h>
#include <torch/nn/init.h>
#include <torch/optim/adamw.h>
#include <torch/types.h>

#include <omp.h>

#include <string>

namespace {

constexpr double rate = 1e-3, decay = 0.1, beta = 0.95, eps = 1e-8;

void count(benchmark::State& state, const torch::Tensor& weights) {
  state.SetItemsProcessed(state.iterations() * weights.numel());
}

/// W <- (1 - rate decay) W - rate R(M), with P before and after R for a head.
void norm_step(benchmark::State& state, long rows, long cols, int dim, bool centred) {
  const torch::NoGradGuard no_grad;
  torch::Tensor w = torch::randn({rows, cols}), g = torch::randn({rows, cols}),
                m = torch::zeros({rows, cols});
  for (auto _ : state) {
    m.mul_(beta).add_(g, 1 - beta);
    torch::Tensor u = centred ? m - m.mean(0, true) : m;
    u = u / (u.norm(2, {dim}, true) + eps);
    if (centred) u = u - u.mean(0, true);
    w.mul_(1 - rate * decay).add_(u, -rate);
  }
  count(state, w);
}

void adamw_step(benchmark::State& state, long rows, long cols) {
  torch::Tensor w = torch::randn({rows, cols}, torch::requires_grad());
  w.mutable_grad() = torch::randn({rows, cols});
  torch::optim::AdamW optimizer({w}, torch::optim::AdamWOptions(rate).weight_decay(decay));
  for (auto _ : state) optimizer.step();
  count(state, w);
}

int registered = [] {
  at::set_num_threads(omp_get_max_threads());  // or libtorch chooses for the whole program, sometimes one
  const auto add = [](const std::string& name, auto function, auto... arguments) {
    benchmark::RegisterBenchmark(name.c_str(), function, arguments...)
        ->UseRealTime()
        ->Unit(benchmark::kMillisecond);
  };
  for (const auto& [rows, cols] : {std::pair{50304L, 768L}, std::pair{768L, 3072L}, std::pair{768L, 768L}}) {
    const std::string at = "/" + std::to_string(rows) + "x" + std::to_string(cols);
    add("libtorch/row_norm" + at, norm_step, rows, cols, 1, false);
    add("libtorch/column_norm" + at, norm_step, rows, cols, 0, false);
    add("libtorch/centred_row_norm" + at, norm_step, rows, cols, 1, true);
    add("libtorch/adamw" + at, adamw_step, rows, cols);
  }
  return 0;
}();

}  // namespace
