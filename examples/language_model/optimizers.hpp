// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/interop/torch.hpp>
#include <symopt/stack/routing.hpp>
#include <symopt/update/schedule.hpp>

#include <torch/torch.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "model.hpp"
#include "scheduled_optimizer.hpp"

namespace language_model {

/// 100 steps of warm-up (a tenth of a short run), then a cosine to zero. Source: arXiv 2605.18106.
inline Schedule adamw_schedule(std::int64_t steps) {
  return symopt::WarmupCosine{.warmup_steps = std::min<std::int64_t>(100, steps / 10), .total_steps = steps};
}

/// Constant, then linear to zero over the last 40 %. Source: arXiv 2605.18106.
inline Schedule derived_schedule(std::int64_t steps) {
  return symopt::ConstantThenLinear{.total_steps = steps, .decay_share = 0.4};
}

struct AdamwSettings {
  double learning_rate = 1.5e-3;  ///< of the layers: the one number to tune
  double embedding = 45;          ///< the embedding's rate over the layers'
  double head = 9;                ///< the head's rate over the layers'
  double weight_decay = 0.1;      ///< of the matrices; the norm gains have none
  double beta2 = 0.99;
};

/// torch's AdamW for every parameter.
inline ScheduledOptimizer make_adamw(const Transformer& model, const AdamwSettings& settings,
                                     std::int64_t steps) {
  std::vector<torch::Tensor> embedding, head, matrices, gains;
  for (const auto& parameter : model->named_parameters()) {
    if (parameter.key() == "embedding.weight") {
      embedding.push_back(parameter.value());
    } else if (parameter.key() == "head.weight") {
      head.push_back(parameter.value());
    } else {
      (parameter.value().dim() == 1 ? gains : matrices).push_back(parameter.value());
    }
  }
  const auto options = [&](double ratio, double weight_decay) {
    auto result = std::make_unique<torch::optim::AdamWOptions>(settings.learning_rate * ratio);
    result->betas({0.9, settings.beta2}).weight_decay(weight_decay);
    return result;
  };
  std::vector<torch::optim::OptimizerParamGroup> groups;
  groups.emplace_back(embedding, options(settings.embedding, settings.weight_decay));
  groups.emplace_back(head, options(settings.head, settings.weight_decay));
  groups.emplace_back(matrices, options(1, settings.weight_decay));
  groups.emplace_back(gains, options(1, 0));
  const std::vector<Schedule> schedules(groups.size(), adamw_schedule(steps));
  return {std::make_unique<torch::optim::AdamW>(std::move(groups)), schedules};
}

struct DerivedSettings {
  double rate = 1;            ///< multiplies all the rates below: the one number to tune
  double embedding = 0.2;     ///< the length of each row's step
  double head = 0.05;         ///< the length of each row's step, before the mean row is subtracted
  double attention = 0.0035;  ///< a step's entries have a root mean square of 0.2 of it, as AdamW's have
  double swiglu = 0.005;      ///< the length of the step of each neuron's row (gate, up) or column (down)
  double router = 0.0015;     ///< the length of each row's step, before the mean row is subtracted
  double gains = 3e-3;        ///< AdamW's learning rate
};

/// Who gets which update, by name: that of each parameter's symmetry group, and AdamW for the gains.
inline symopt::Routing derived_routing(const ModelShape& shape, const DerivedSettings& settings) {
  using namespace symopt;
  const double rate = settings.rate;
  const OptimizerOptions attention{.learning_rate = rate * settings.attention, .scale = Scale::match_rms};
  const OptimizerOptions swiglu{.learning_rate = rate * settings.swiglu};

  Routing routing;
  routing.add("embedding.weight", role<Embedding>({.learning_rate = rate * settings.embedding}));
  routing.add("head.weight", role<LmHead>({.learning_rate = rate * settings.head}));
  if (shape.is_dense()) {
    routing.add("layers.*.attention.*.weight", role<HiddenMatrix>(attention));
    routing.add("layers.*.swiglu.{gate,up}.weight", role<SwigluInput>(swiglu));
    routing.add("layers.*.swiglu.down.weight", role<SwigluOutput>(swiglu));
  } else {
    const Layout neurons = layout::gate_up(GateUp::concatenated, Neurons::paired);
    routing.add("layers.*.attention.{query,key,value}.weight",
                role<HiddenMatrix>(attention, layout::row_heads(shape.heads)));
    routing.add("layers.*.attention.output.weight",
                role<HiddenMatrix>(attention, layout::column_heads(shape.heads)));
    routing.add("layers.*.mixture.router.weight", role<Router>({.learning_rate = rate * settings.router}));
    routing.add("layers.*.mixture.gate_up", role<SwigluInput>(swiglu, layout::experts(neurons)));
    routing.add("layers.*.mixture.down", role<SwigluOutput>(swiglu, layout::experts()));
  }
  routing.set_vectors(role<AdamW>({.learning_rate = rate * settings.gains}, {}, {}, {.beta2 = 0.95}));
  return routing;
}

/// symopt's stack on the model's parameters.
inline std::unique_ptr<symopt::interop::TorchOptimizer> make_stack(const Transformer& model,
                                                                   const ModelShape& shape,
                                                                   const DerivedSettings& settings) {
  return std::make_unique<symopt::interop::TorchOptimizer>(
      symopt::interop::parameter_groups(model->named_parameters(), derived_routing(shape, settings)));
}

inline ScheduledOptimizer make_derived(const Transformer& model, const ModelShape& shape,
                                       const DerivedSettings& settings, std::int64_t steps) {
  auto stack = make_stack(model, shape, settings);
  std::vector<Schedule> schedules;
  for (const auto& group : stack->param_groups()) {
    const auto& options = static_cast<const symopt::interop::GroupOptions&>(group.options());
    schedules.push_back(options.role().acts_entrywise() ? adamw_schedule(steps) : derived_schedule(steps));
  }
  return {std::move(stack), std::move(schedules)};
}

}  // namespace language_model
