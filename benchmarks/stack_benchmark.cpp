// SPDX-License-Identifier: Apache-2.0
// One step of a whole stack on the shapes of Qwen3-0.6B with fewer layers, and of its parts: where the time
// goes.
#include "qwen3_stack.hpp"

#include <symopt/symopt.hpp>

#include <benchmark/benchmark.h>

#include <string>

namespace {

using namespace symopt;

Routing adamw() {
  Routing routing;
  routing.add("**", role<AdamW>());
  return routing;
}

void step(benchmark::State& state, Qwen3Part part, Routing (*routing)()) {
  const Qwen3Model model(part);
  LayerwiseOptimizer stack;
  stack.route(model.tensors(), routing());
  for (auto _ : state) benchmark::DoNotOptimize(stack.step());
  state.SetItemsProcessed(state.iterations() * model.size());
}

int registered = [] {
  const auto add = [](const std::string& name, auto... arguments) {
    benchmark::RegisterBenchmark(name.c_str(), step, arguments...)
        ->UseRealTime()
        ->Unit(benchmark::kMillisecond);
  };
  for (const Qwen3Part part : {Qwen3Part::all, Qwen3Part::embedding, Qwen3Part::attention, Qwen3Part::mlp}) {
    const std::string what = std::string("/") + to_string(part) + "/qwen3_4_layers";
    add("symopt" + what, part, qwen3_roles);
    add("symopt_adamw" + what, part, adamw);
  }
  return 0;
}();

}  // namespace
