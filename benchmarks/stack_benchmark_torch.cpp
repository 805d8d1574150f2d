// SPDX-License-Identifier: Apache-2.0
// The same step by libtorch: the published rules in tensor operations, AdamW for everything, and symopt's
// rules in the operations by which it steps tensors on other devices. On the device of
// SYMOPT_BENCHMARK_DEVICE, "cuda", or the CPU.
#include "qwen3_shapes.hpp"

#include <symopt/interop/torch.hpp>
#include <symopt/optimizer/adaptive.hpp>
#include <symopt/stack/rule_sets/qwen3.hpp>

#include <ATen/Parallel.h>
#include <benchmark/benchmark.h>
#include <torch/cuda.h>
#include <torch/optim/adamw.h>
#include <torch/types.h>

#include <omp.h>

#include <cmath>
#include <cstdlib>
#include <string>
#include <vector>

namespace {

constexpr double rate = 1e-3, beta = 0.95, eps = 1e-8;

torch::Device device() {
  const char* name = std::getenv("SYMOPT_BENCHMARK_DEVICE");
  return name != nullptr && *name != '\0' ? torch::Device(name) : torch::Device(torch::kCPU);
}
/// Waits for what was asked of the device.
void finish() {
  if (device().is_cuda()) torch::cuda::synchronize();
}

struct Parameter {
  std::string name;
  torch::Tensor weights, gradient, momentum, second;
};

std::vector<Parameter> parameters(Qwen3Part part) {
  std::vector<Parameter> all;
  for (const Qwen3Parameter& parameter : qwen3_shape::parameters(part)) {
    const torch::Tensor weights = (torch::randn(parameter.sizes) * 0.02).to(device());
    const torch::Tensor gradient = (torch::randn(parameter.sizes) * 1e-3).to(device());
    all.push_back(
        {parameter.name, weights, gradient, torch::zeros_like(weights), torch::zeros_like(weights)});
  }
  return all;
}

bool has(const Parameter& parameter, const char* part) {
  return parameter.name.find(part) != std::string::npos;
}

/// Five steps of the published quintic on a stack of matrices [blocks, m, n], m <= n.
torch::Tensor newton_schulz(torch::Tensor x) {
  const double a = 3.4445, b = -4.7750, c = 2.0315;
  const bool tall = x.size(1) > x.size(2);
  if (tall) x = x.transpose(1, 2);
  x = x / (x.norm(2, {1, 2}, true) + 1e-7);
  for (int step = 0; step < 5; ++step) {
    const torch::Tensor gram = torch::bmm(x, x.transpose(1, 2));
    x = a * x + torch::bmm(torch::baddbmm(gram, gram, gram, b, c), x);
  }
  return tall ? x.transpose(1, 2) : x;
}

torch::Tensor direction(const Parameter& parameter) {
  const torch::Tensor& m = parameter.momentum;
  const auto rows = [&](std::int64_t heads) {
    return newton_schulz(m.view({heads, -1, m.size(1)})).reshape(m.sizes());
  };
  if (has(parameter, "q_proj")) return rows(qwen3_shape::query_heads);
  if (has(parameter, "k_proj") || has(parameter, "v_proj")) return rows(qwen3_shape::key_value_heads);
  if (has(parameter, "o_proj"))
    return newton_schulz(m.view({m.size(0), qwen3_shape::query_heads, -1}).transpose(0, 1))
        .transpose(0, 1)
        .reshape(m.sizes());
  const int dim = has(parameter, "down_proj") ? 0 : 1;
  return m / (m.norm(2, {dim}, true) + eps);
}

void published(benchmark::State& state, Qwen3Part part) {
  const torch::NoGradGuard no_grad;
  std::vector<Parameter> all = parameters(part);
  std::int64_t size = 0;
  for (const Parameter& parameter : all) size += parameter.weights.numel();
  for (auto _ : state) {
    for (Parameter& parameter : all) {
      parameter.momentum.mul_(beta).add_(parameter.gradient, 1 - beta);
      if (parameter.weights.dim() == 1) {  // AdamW, without the corrections of its first steps
        parameter.second.mul_(0.999).addcmul_(parameter.gradient, parameter.gradient, 0.001);
        parameter.weights.addcdiv_(parameter.momentum, parameter.second.sqrt().add_(eps), -rate);
      } else {
        parameter.weights.add_(direction(parameter), -rate);
      }
    }
    finish();
  }
  state.SetItemsProcessed(state.iterations() * size);
}

void adamw(benchmark::State& state, Qwen3Part part) {
  std::vector<torch::Tensor> weights;
  std::int64_t size = 0;
  for (const Parameter& parameter : parameters(part)) {
    torch::Tensor tensor = parameter.weights.set_requires_grad(true);
    tensor.mutable_grad() = parameter.gradient;
    size += tensor.numel();
    weights.push_back(tensor);
  }
  torch::optim::AdamW optimizer(weights, torch::optim::AdamWOptions(rate));
  for (auto _ : state) {
    optimizer.step();
    finish();
  }
  state.SetItemsProcessed(state.iterations() * size);
}

/// The shipped rule set by operations.
void operations(benchmark::State& state, Qwen3Part part) {
  using namespace symopt;
  torch::OrderedDict<std::string, torch::Tensor> model;
  std::int64_t size = 0;
  for (const Parameter& parameter : parameters(part)) {
    torch::Tensor tensor = parameter.weights.set_requires_grad(true);
    tensor.mutable_grad() = parameter.gradient;
    size += tensor.numel();
    model.insert(parameter.name, tensor);
  }
  const torch::Tensor gain = torch::ones({qwen3_shape::width}).to(device());  // which the rule set asks for
  model.insert("model.norm.weight", gain);
  const AttentionHeads heads{.query = qwen3_shape::query_heads, .key_value = qwen3_shape::key_value_heads};
  interop::TorchOptimizer optimizer(
      interop::parameter_groups(model, qwen3(heads, Embeddings::tied), {.learning_rate = rate}),
      {.by_operations = true});
  for (auto _ : state) {
    optimizer.step();
    finish();
  }
  state.SetItemsProcessed(state.iterations() * size);
}

int registered = [] {
  at::set_num_threads(omp_get_max_threads());  // or libtorch chooses for the whole program, sometimes one
  const auto add = [](const std::string& name, auto function, Qwen3Part part) {
    benchmark::RegisterBenchmark(name.c_str(), function, part)->UseRealTime()->Unit(benchmark::kMillisecond);
  };
  for (const Qwen3Part part : {Qwen3Part::all, Qwen3Part::embedding, Qwen3Part::attention, Qwen3Part::mlp}) {
    const std::string what = std::string("/") + to_string(part) + "/qwen3_4_layers";
    add("libtorch" + what, published, part);
    add("libtorch_adamw" + what, adamw, part);
    if (part == Qwen3Part::all) add("symopt_operations" + what, operations, part);
  }
  return 0;
}();

}  // namespace
