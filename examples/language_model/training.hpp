// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/error.hpp>

#include <torch/torch.h>

#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <numeric>
#include <vector>

#include "corpus/batches.hpp"
#include "corpus/corpus.hpp"
#include "evaluation.hpp"
#include "language_model.hpp"
#include "model_shape.hpp"
#include "scheduled_optimizer.hpp"

namespace language_model {

struct TrainingPlan {
  ModelShape shape;
  std::int64_t sequences = 16;  ///< per step
  std::int64_t steps = 700;
  std::uint64_t seed = 1;  ///< of the weights and of the order of the batches
  torch::Device device = torch::kCPU;
  std::int64_t validations =
      20;  ///< on a part of the held-out text, from the start on, beside that of the end

  std::int64_t tokens_per_step() const { return sequences * shape.context; }
};

struct ValidationPoint {
  std::int64_t step;  ///< steps done
  double loss;        ///< nats per token, on a tenth of the held-out windows
};

struct TrainingResult {
  std::vector<double> training_loss;        ///< of every step's batch before the step, nats per token
  std::vector<ValidationPoint> validation;  ///< at the start, at intervals, and at the end
  Evaluation start;                         ///< on all held-out windows; without validations on a tenth
  Evaluation end;                           ///< on all held-out windows; the loss is NaN after divergence
  double mean_row_drift = 0;                ///< Euclidean length of the way of the head's mean row
  double seconds_per_step = 0;
  double update_seconds_per_step = 0;  ///< the part of a step that the optimizer takes
  std::size_t state_bytes = 0;         ///< what the optimizer remembers, as it saves it

  double router_mean_logit_drift() const { return end.routers.mean_logit - start.routers.mean_logit; }
  double mean_logit_drift() const { return end.mean_logit - start.mean_logit; }

  /// False after divergence, too.
  bool improved() const { return end.loss < start.loss && final_training_loss() < training_loss.front(); }

  /// The means of the training loss over twenty equal parts of its steps, in their order.
  std::vector<double> training_curve() const {
    constexpr std::ptrdiff_t parts = 20;
    std::vector<double> means;
    for (std::ptrdiff_t part = 0; part < parts; ++part) {
      const auto first = training_loss.begin() + std::ssize(training_loss) * part / parts;
      const auto last = training_loss.begin() + std::ssize(training_loss) * (part + 1) / parts;
      if (first != last) means.push_back(std::reduce(first, last) / static_cast<double>(last - first));
    }
    return means;
  }

  /// Mean over the last twentieth of the steps.
  double final_training_loss() const {
    const auto count = std::max<std::ptrdiff_t>(1, std::ssize(training_loss) / 20);
    return std::accumulate(training_loss.end() - count, training_loss.end(), 0.0) /
           static_cast<double>(count);
  }
};

using ModelFactory =
    std::function<std::shared_ptr<LanguageModel>(const ModelShape& shape, std::uint64_t seed)>;
using OptimizerFactory = std::function<ScheduledOptimizer(const LanguageModel& model, std::int64_t steps)>;
using StepObserver = std::function<void(std::int64_t steps_done, double loss)>;

/// Trains a model; stops early when the loss or a gradient is no longer finite. `before_forward` is called
/// before every forward pass: where weights are made of others, it makes them.
inline TrainingResult train(
    LanguageModel& model, ScheduledOptimizer& optimizer, const Corpus& corpus, const TrainingPlan& plan,
    const StepObserver& observe = {}, const std::function<void()>& before_forward = [] {}) {
  using Clock = std::chrono::steady_clock;
  using Seconds = std::chrono::duration<double>;
  constexpr std::size_t validation_stride = 10;

  const auto context = static_cast<std::size_t>(plan.shape.context);
  const std::vector<Window> held_out = windows_of(corpus.held_out, context, 0);
  std::vector<Window> held_out_sample;
  for (std::size_t i = 0; i < held_out.size(); i += validation_stride) held_out_sample.push_back(held_out[i]);

  const auto evaluated = [&](const std::vector<Window>& windows) {
    const torch::NoGradGuard no_grad;
    before_forward();
    return evaluate(model, windows);
  };

  const auto now = [&] {
    if (plan.device.is_cuda()) torch::cuda::synchronize();
    return Clock::now();
  };
  BatchStream batches{corpus.training, static_cast<std::size_t>(plan.sequences), context, plan.seed};

  TrainingResult result;
  result.start = evaluated(plan.validations > 0 ? held_out : held_out_sample);
  const torch::Tensor mean_row = model.head_weight().detach().mean(0);
  Seconds total{0};
  Seconds updating{0};
  for (std::int64_t step = 0; step < plan.steps; ++step) {
    if (step * plan.validations / plan.steps != (step - 1) * plan.validations / plan.steps || step == 0) {
      result.validation.push_back({.step = step, .loss = evaluated(held_out_sample).loss});
    }

    const auto begin = now();
    const Batch batch = batches.next().on(plan.device);
    optimizer.zero_grad();
    before_forward();
    const torch::Tensor loss = next_token_loss(model.forward(batch.inputs), batch.targets);
    result.training_loss.push_back(loss.item<double>());
    if (!std::isfinite(result.training_loss.back())) break;
    model.with_router_loss(loss).backward();
    const auto update_begin = now();
    try {
      optimizer.step();
    } catch (const symopt::NonFiniteGradient&) {  // refused by symopt, where torch's optimizers go on
      result.training_loss.back() = std::numeric_limits<double>::quiet_NaN();
      break;
    }
    const auto end = now();

    updating += end - update_begin;
    total += end - begin;
    if (observe) observe(step + 1, result.training_loss.back());
  }

  result.end = evaluated(held_out);
  if (!std::isfinite(result.training_loss.back())) result.end.loss = std::numeric_limits<double>::quiet_NaN();
  result.validation.push_back({.step = plan.steps, .loss = evaluated(held_out_sample).loss});
  result.mean_row_drift = (model.head_weight().detach().mean(0) - mean_row).norm().item<double>();
  const auto steps_done = static_cast<double>(result.training_loss.size());
  result.seconds_per_step = total.count() / steps_done;
  result.update_seconds_per_step = updating.count() / steps_done;
  result.state_bytes = optimizer.saved_bytes();
  return result;
}

/// Trains a model from scratch.
inline TrainingResult train(const Corpus& corpus, const TrainingPlan& plan, const ModelFactory& make_model,
                            const OptimizerFactory& make_optimizer, const StepObserver& observe = {}) {
  const std::shared_ptr<LanguageModel> model = make_model(plan.shape, plan.seed);
  model->to(plan.device);
  ScheduledOptimizer optimizer = make_optimizer(*model, plan.steps);
  return train(*model, optimizer, corpus, plan, observe);
}

}  // namespace language_model
