// SPDX-License-Identifier: Apache-2.0
// One step of a whole stack on the shapes of Qwen3-0.6B with fewer layers, and of its parts: where the time
// goes.
#include "qwen3_shapes.hpp"

#include <symopt/symopt.hpp>

#include <benchmark/benchmark.h>

#include <string>
#include <vector>

namespace {

using namespace symopt;

/// Weights and gradients of the model, in the trainer's memory.
class Model {
 public:
  explicit Model(Qwen3Part part) {
    for (const Qwen3Parameter& parameter : qwen3_shape::parameters(part)) {
      Index size = 1;
      for (const std::int64_t extent : parameter.sizes) size *= extent;
      weights_.emplace_back(Eigen::VectorXf::Random(size) * 0.02F);
      gradients_.emplace_back(Eigen::VectorXf::Random(size) * 1e-3F);
      const std::vector<Index> sizes(parameter.sizes.begin(), parameter.sizes.end());
      tensors_.push_back({parameter.name, TensorView<float>(weights_.back().data(), sizes),
                          TensorView<const float>(gradients_.back().data(), sizes)});
      size_ += size;
    }
  }

  const std::vector<NamedTensor<float>>& tensors() const { return tensors_; }
  Index size() const { return size_; }

 private:
  std::vector<Eigen::VectorXf> weights_, gradients_;
  std::vector<NamedTensor<float>> tensors_;
  Index size_ = 0;
};

/// The derived updates: the roles of the shipped rule set, whichever part of the model is there.
Routing derived() {
  using namespace qwen3_shape;
  Routing routing;
  routing.add_optional("model.embed_tokens.weight", role<TiedEmbedding>());
  routing.add_optional("**.q_proj.weight", role<HiddenMatrix>().with(layout::row_heads(query_heads)));
  routing.add_optional("**.{k,v}_proj.weight", role<HiddenMatrix>().with(layout::row_heads(key_value_heads)));
  routing.add_optional("**.o_proj.weight", role<HiddenMatrix>().with(layout::column_heads(query_heads)));
  routing.add_optional("**.{gate,up}_proj.weight", role<SwigluInput>());
  routing.add_optional("**.down_proj.weight", role<SwigluOutput>());
  return routing;
}

Routing adamw() {
  Routing routing;
  routing.add("**", role<AdamW>());
  return routing;
}

void step(benchmark::State& state, Qwen3Part part, Routing (*routing)()) {
  const Model model(part);
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
    add("symopt" + what, part, derived);
    add("symopt_adamw" + what, part, adamw);
  }
  return 0;
}();

}  // namespace
