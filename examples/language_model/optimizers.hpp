// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/interop/torch.hpp>
#include <symopt/symopt.hpp>

#include <torch/torch.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "model.hpp"
#include "parameter_classes.hpp"
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
  double embedding = 15;          ///< the embedding's rate over the layers'
  double head = 9;                ///< the head's rate over the layers'
  double weight_decay = 0.1;      ///< of the matrices; the norm gains have none
  double beta2 = 0.99;
};

/// torch's AdamW for every parameter.
inline ScheduledOptimizer make_adamw(const Transformer& model, const AdamwSettings& settings,
                                     std::int64_t steps) {
  const auto options = [&](double ratio, double weight_decay) {
    auto result = std::make_unique<torch::optim::AdamWOptions>(settings.learning_rate * ratio);
    result->betas({0.9, settings.beta2}).weight_decay(weight_decay);
    return result;
  };
  const ParameterClasses classes = classes_of(model);
  std::vector<torch::optim::OptimizerParamGroup> groups;
  groups.emplace_back(classes.embedding, options(settings.embedding, settings.weight_decay));
  groups.emplace_back(classes.head, options(settings.head, settings.weight_decay));
  groups.emplace_back(classes.layer_matrices(), options(1, settings.weight_decay));
  groups.emplace_back(classes.gains, options(1, 0));
  const std::vector<Schedule> schedules(groups.size(), adamw_schedule(steps));
  return {std::make_unique<torch::optim::AdamW>(std::move(groups)), schedules};
}

struct DerivedSettings {
  double rate = 1;            ///< multiplies all the rates below: the one number to tune
  double embedding = 0.2;     ///< the length of each row's step
  double head = 0.05;         ///< the length of each row's step, before the mean row is subtracted
  double attention = 0.0035;  ///< a step's entries have a root mean square of 0.2 of it, as AdamW's have
  double swiglu = 0.005;      ///< the length of the step of each neuron's row (gate, up) or column (down)
  double gains = 3e-3;        ///< AdamW's learning rate
};

/// For each class of parameters the update that symopt derives from its symmetry group; AdamW for the gains.
inline ScheduledOptimizer make_derived(const Transformer& model, const DerivedSettings& settings,
                                       std::int64_t steps) {
  using namespace symopt;
  using interop::parameter_group;
  const ParameterClasses classes = classes_of(model);
  const double rate = settings.rate;

  std::vector<torch::optim::OptimizerParamGroup> groups;
  groups.push_back(
      parameter_group<Update<Embedding>>(classes.embedding, {.learning_rate = rate * settings.embedding}));
  groups.push_back(parameter_group<Update<LmHead>>(classes.head, {.learning_rate = rate * settings.head}));
  groups.push_back(parameter_group<Update<HiddenMatrix>>(
      classes.attention, {.learning_rate = rate * settings.attention, .scale = Scale::match_rms}));
  groups.push_back(
      parameter_group<Update<SwigluInput>>(classes.swiglu_input, {.learning_rate = rate * settings.swiglu}));
  groups.push_back(parameter_group<Update<SwigluOutput>>(classes.swiglu_output,
                                                         {.learning_rate = rate * settings.swiglu}));
  std::vector<Schedule> schedules(groups.size(), derived_schedule(steps));

  groups.push_back(
      parameter_group<AdamW>(classes.gains, {.learning_rate = rate * settings.gains}, {.beta2 = 0.95}));
  schedules.push_back(adamw_schedule(steps));
  return {std::make_unique<interop::TorchOptimizer>(std::move(groups)), std::move(schedules)};
}

}  // namespace language_model
