// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <iomanip>
#include <ostream>
#include <sstream>
#include <string>
#include <vector>

#include "optimizers.hpp"
#include "planned_trainings.hpp"
#include "sides.hpp"
#include "text.hpp"
#include "training.hpp"

namespace language_model {

/// One point of a grid, and what its trainings came to.
struct Candidate {
  Side side;
  Settings settings{};
  std::vector<double> validation_losses{};  ///< one for each seed
};

/// Equally many rates for all columns, also that with full second moments for attention, each twice the one
/// before.
inline std::vector<Candidate> search_grid() {
  std::vector<Candidate> grid;
  for (const Side& side : columns(true))
    for (const double rate : {0.375e-3, 0.75e-3, 1.5e-3, 3e-3, 6e-3})
      grid.push_back({.side = side, .settings = {.learning_rate = rate}});
  return grid;
}

/// The columns and the parts of the last one, at AdamW's own numbers, and without their decay.
inline std::vector<Candidate> parts_grid(const ModelShape& shape) {
  std::vector<Candidate> grid;
  for (const Side& side : columns()) grid.push_back({.side = side});
  for (const Side& side : parts(shape)) grid.push_back({.side = side});
  const Settings without_decay{.weight_decay = 0};  // the paper's updates have none
  grid.push_back({.side = stack_side("derived; no decay", {}), .settings = without_decay});
  grid.push_back({.side = stack_side("second moments; no decay", second_moments), .settings = without_decay});
  return grid;
}

inline void print_search(std::ostream& out, const std::vector<Candidate>& grid) {
  out << "validation loss, nats per token: mean and standard deviation over the seeds\n";
  for (const Candidate& candidate : grid) {
    const bool best = std::ranges::none_of(grid, [&](const Candidate& other) {
      return other.side.name == candidate.side.name &&
             !(mean(candidate.validation_losses) <= mean(other.validation_losses));
    });
    out << std::left << std::setw(40) << candidate.side.name << std::right << std::setw(10)
        << candidate.settings.learning_rate << std::setw(10) << fixed(mean(candidate.validation_losses), 4)
        << " +- " << fixed(spread(candidate.validation_losses), 4) << (best ? "  best" : "") << '\n';
  }
}

/// Trains every point of the grid with every seed and returns the grid with its losses. Results go into a
/// table as they come, and those that stand in it are taken from there. The loss is that of the held-out
/// blocks, for all sides alike.
inline std::vector<Candidate> run_search(const Corpus& corpus, const TrainingPlan& plan, std::size_t workers,
                                         std::vector<Candidate> grid, const std::filesystem::path& table) {
  constexpr std::size_t seeds = 3;
  std::vector<PlannedTraining> trainings;
  for (std::size_t seed = 0; seed < seeds; ++seed) {
    for (const Candidate& candidate : grid) {
      TrainingPlan seeded = plan;
      seeded.seed = plan.seed + seed;
      std::ostringstream text;
      text << candidate.side.name << ',' << candidate.settings.learning_rate << ','
           << (plan.shape.is_dense() ? "dense" : "mixture") << ',' << plan.steps << ',' << seeded.seed << ',';
      trainings.push_back({.description = text.str(), .train = [&, seeded](const StepObserver& observe) {
                             return train(corpus, seeded, candidate.side.with(plan.shape, candidate.settings),
                                          observe);
                           }});
    }
  }
  const std::vector<double> losses =
      run_planned(trainings, plan.steps, workers, table, "side,rate,architecture,steps,seed");
  for (std::size_t i = 0; i < losses.size(); ++i)
    grid[i % grid.size()].validation_losses.push_back(losses[i]);
  return grid;
}

}  // namespace language_model
