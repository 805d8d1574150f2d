// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/optimizer/schedule.hpp>
#include <symopt/stack/plan.hpp>

#include <torch/torch.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "architectures/rules.hpp"
#include "kinds.hpp"
#include "language_model.hpp"
#include "model_shape.hpp"
#include "scheduled_optimizer.hpp"
#include "settings.hpp"

namespace language_model {

/// 100 steps of warm-up (a tenth of a short run), then a cosine to zero. Source: arXiv 2605.18106.
inline Schedule warmup_cosine(std::int64_t steps) {
  return symopt::WarmupCosine{.warmup_steps = std::min<std::int64_t>(100, steps / 10), .total_steps = steps};
}

/// Constant, then linear to zero over the last 40 %. Source: arXiv 2605.18106.
inline Schedule constant_then_linear(std::int64_t steps) {
  return symopt::ConstantThenLinear{.total_steps = steps, .decay_share = 0.4};
}

/// One schedule for all groups of an optimizer.
inline ScheduledOptimizer scheduled(std::unique_ptr<torch::optim::Optimizer> optimizer,
                                    const Schedule& schedule) {
  std::vector<Schedule> schedules(optimizer->param_groups().size(), schedule);
  return {std::move(optimizer), std::move(schedules)};
}

/// torch's AdamW for every parameter.
std::unique_ptr<torch::optim::Optimizer> make_adamw(const LanguageModel& model, const Settings& settings);

/// symopt's stack on the parameters of the demo's own model.
std::unique_ptr<torch::optim::Optimizer> make_stack(const LanguageModel& model, const ModelShape& shape,
                                                    const Kinds& kinds, const Settings& settings);
/// symopt's stack on a model of that family and shape.
std::unique_ptr<torch::optim::Optimizer> make_stack(const LanguageModel& model, Family family,
                                                    const ModelShape& shape, Rule rule,
                                                    const Settings& settings);
/// The plan of a stack of make_stack: each parameter with its rule and options.
symopt::Plan plan_of(const torch::optim::Optimizer& stack);

}  // namespace language_model
