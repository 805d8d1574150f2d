// SPDX-License-Identifier: Apache-2.0
// A step of a LoRA pair on a matrix of 4096 x 4096, as it is stored, beside AdamW on the same two blocks.
#include "memory_limit.hpp"

#include <symopt/symopt.hpp>

#include <string>

namespace {

using namespace symopt;
using namespace symopt_benchmark;

constexpr Index width = 4096;

/// The blocks of a pair: up [width, r], down [r, width].
struct Blocks {
  explicit Blocks(Index r)
      : up(Matrix<float>::Random(width, r)),
        down(Matrix<float>::Random(r, width)),
        g_up(Matrix<float>::Random(width, r)),
        g_down(Matrix<float>::Random(r, width)) {}
  Matrix<float> up, down, g_up, g_down;
};

template <class Group>
void pair(benchmark::State& state, Index r) {
  Blocks w(r);
  PairOptimizer<PairUpdate<Group>> optimizer(width, width, r, {.learning_rate = 1e-3, .weight_decay = 0.1});
  for (auto _ : state) optimizer.step(w.up, w.g_up, w.down.transpose(), w.g_down.transpose());
  count(state, 2 * width * r, 20);
}

void adamw(benchmark::State& state, Index r) {
  Blocks w(r);
  const OptimizerOptions options{.learning_rate = 1e-3, .weight_decay = 0.1};
  Optimizer<AdamW> up(width, r, options), down(r, width, options);
  for (auto _ : state) {
    up.step(w.up, w.g_up);
    down.step(w.down, w.g_down);
  }
  count(state, 2 * width * r, 28);
}

int registered = [] {
  const auto add = [](const std::string& name, auto function, Index r) {
    benchmark::RegisterBenchmark((name + "/" + std::to_string(r)).c_str(), function, r)
        ->UseRealTime()
        ->Unit(benchmark::kMicrosecond);
  };
  for (const Index r : {8, 16, 32, 64, 128}) {
    add("symopt/adamw_of_pair", adamw, r);
    add("symopt/lora_pair", pair<LoraPair>, r);
    add("symopt/neuron_pair", pair<NeuronPair>, r);
    add("symopt/query_key", pair<QueryKey>, r);
  }
  return 0;
}();

}  // namespace
