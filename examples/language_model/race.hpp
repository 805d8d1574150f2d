// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <span>
#include <sstream>
#include <string>
#include <vector>

#include "cores.hpp"
#include "parallel.hpp"
#include "status_line.hpp"
#include "text.hpp"
#include "training.hpp"

namespace language_model {

/// A training that is to run beside others.
struct Entrant {
  std::string name;
  std::function<TrainingResult(const StepObserver&)> train;
};

/// One training of a race.
struct Runner {
  std::string name;
  TrainingResult result{};
};

/// Trainings of one model on the same batches; the first is what the others are compared with.
using Race = std::vector<Runner>;

/// The progress of trainings that run side by side, as one line.
class RaceProgress {
 public:
  RaceProgress(std::int64_t steps, std::span<const Entrant> entrants)
      : steps_(steps), steps_done_(entrants.size()), smooth_loss_(entrants.size()) {
    for (const Entrant& entrant : entrants) names_.push_back(entrant.name);
  }

  /// Called from all trainings' threads.
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
    const std::int64_t slowest = std::ranges::min(steps_done_);
    const double left =
        elapsed.count() * static_cast<double>(steps_ - slowest) / static_cast<double>(slowest);
    std::ostringstream text;  // under 80 columns, or a terminal could not rewrite it
    text << "step " << slowest << '/' << steps_;
    for (std::size_t runner = 0; runner < names_.size(); ++runner)
      text << (runner == 0 ? ": " : ", ") << names_[runner] << ' ' << fixed(smooth_loss_[runner], 3);
    text << "; " << minutes(left) << " left";
    return text.str();
  }

  std::int64_t steps_;
  std::vector<std::string> names_;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  std::vector<std::int64_t> steps_done_;
  std::vector<double> smooth_loss_;
  StatusLine line_;
  std::mutex mutex_;
};

/// Runs all trainings, of `steps` steps, side by side: one core for each does more than all cores for one.
/// Where there are fewer cores than trainings they change after every step.
inline Race run_race(std::span<const Entrant> entrants, std::int64_t steps, int core_count) {
  Race race;
  for (const Entrant& entrant : entrants) race.push_back({.name = entrant.name});
  RaceProgress progress(steps, entrants);
  Cores cores(core_count);
  run_side_by_side(entrants.size(), entrants.size(), [&](std::size_t runner) {
    Cores::Core core(cores);
    race[runner].result = entrants[runner].train([&](std::int64_t steps_done, double loss) {
      progress.update(runner, steps_done, loss);
      core.pass_on();
    });
  });
  return race;
}

}  // namespace language_model
