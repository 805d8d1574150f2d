// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <mutex>
#include <sstream>
#include <string>

#include "optimizers.hpp"
#include "parallel.hpp"
#include "status_line.hpp"
#include "text.hpp"
#include "training.hpp"

namespace language_model {

/// Two trainings of one model on the same batches.
struct Race {
  TrainingResult adamw;
  TrainingResult derived;
};

/// The progress of two trainings that run side by side, as one line.
class RaceProgress {
 public:
  explicit RaceProgress(const TrainingPlan& plan) : plan_(plan) {}

  /// Called from both trainings' threads.
  void update(std::size_t runner, std::int64_t steps_done, double loss) {
    const std::lock_guard lock(mutex_);
    steps_done_[runner] = steps_done;
    smooth_loss_[runner] +=
        (loss - smooth_loss_[runner]) / static_cast<double>(std::min<std::int64_t>(steps_done, 20));
    if (std::ranges::min(steps_done_) > 0) line_.update([&] { return text(); });
  }

 private:
  std::string text() const {
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start_;
    const auto [slower, faster] = std::ranges::minmax(steps_done_);
    const double speed = static_cast<double>((slower + faster) * plan_.tokens_per_step()) / elapsed.count();
    const double left =
        elapsed.count() * static_cast<double>(plan_.steps - slower) / static_cast<double>(slower);
    std::ostringstream text;
    text << "step " << slower << '/' << plan_.steps << "  loss AdamW " << fixed(smooth_loss_[0], 3)
         << ", derived " << fixed(smooth_loss_[1], 3) << "  " << grouped(std::llround(speed)) << " tokens/s  "
         << minutes(left) << " left";
    return text.str();
  }

  TrainingPlan plan_;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  std::array<std::int64_t, 2> steps_done_{};
  std::array<double, 2> smooth_loss_{};
  StatusLine line_;
  std::mutex mutex_;
};

/// Trains with AdamW and with the derived updates side by side: one core for each does more than two for one.
inline Race run_race(const Corpus& corpus, const TrainingPlan& plan) {
  const std::array<OptimizerFactory, 2> factories{
      [](const Transformer& model, std::int64_t steps) { return make_adamw(model, {}, steps); },
      [&](const Transformer& model, std::int64_t steps) {
        return make_derived(model, plan.shape, {}, steps);
      }};
  std::array<TrainingResult, 2> results;
  RaceProgress progress(plan);
  run_side_by_side(2, 2, [&](std::size_t runner) {
    results[runner] = train(corpus, plan, factories[runner], [&](std::int64_t steps_done, double loss) {
      progress.update(runner, steps_done, loss);
    });
  });
  return {.adamw = std::move(results[0]), .derived = std::move(results[1])};
}

}  // namespace language_model
