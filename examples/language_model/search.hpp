// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <iomanip>
#include <mutex>
#include <numeric>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "optimizers.hpp"
#include "parallel.hpp"
#include "sides.hpp"
#include "status_line.hpp"
#include "text.hpp"
#include "training.hpp"

namespace language_model {

/// One point of a grid, and what its trainings came to.
struct Candidate {
  Side side;
  Settings settings{};
  std::vector<double> validation_losses{};  ///< one for each seed

  double mean() const {
    return std::reduce(validation_losses.begin(), validation_losses.end()) /
           static_cast<double>(validation_losses.size());
  }
  /// The standard deviation over the seeds.
  double spread() const {
    double sum = 0;
    for (const double loss : validation_losses) sum += (loss - mean()) * (loss - mean());
    return std::sqrt(sum / static_cast<double>(validation_losses.size() - 1));
  }
};

/// Equally many rates for all columns, each twice the one before.
inline std::vector<Candidate> search_grid() {
  std::vector<Candidate> grid;
  for (const Side& side : columns())
    for (const double rate : {0.375e-3, 0.75e-3, 1.5e-3, 3e-3, 6e-3})
      grid.push_back({.side = side, .settings = {.learning_rate = rate}});
  return grid;
}

/// The parts, at AdamW's own numbers.
inline std::vector<Candidate> parts_grid() {
  std::vector<Candidate> grid;
  for (const Side& side : parts()) grid.push_back({.side = side});
  return grid;
}

inline void print_search(std::ostream& out, const std::vector<Candidate>& grid) {
  out << "validation loss, nats per token: mean and standard deviation over the seeds\n";
  for (const Candidate& candidate : grid) {
    const bool best = std::ranges::none_of(grid, [&](const Candidate& other) {
      return other.side.name == candidate.side.name && !(candidate.mean() <= other.mean());
    });
    out << std::left << std::setw(40) << candidate.side.name << std::right << std::setw(10)
        << candidate.settings.learning_rate << std::setw(10) << fixed(candidate.mean(), 4) << " +- "
        << fixed(candidate.spread(), 4) << (best ? "  best" : "") << '\n';
  }
}

/// Trains every point of the grid with every seed, writes a table as results come, and returns the grid with
/// its losses. The loss is that of the held-out blocks, for all sides alike.
inline std::vector<Candidate> run_search(const Corpus& corpus, const TrainingPlan& plan, std::size_t workers,
                                         std::vector<Candidate> grid, const std::filesystem::path& table) {
  constexpr std::size_t seeds = 3;
  for (Candidate& candidate : grid) candidate.validation_losses.resize(seeds);
  const std::size_t runs = grid.size() * seeds;

  std::ofstream file(table);
  file.exceptions(std::ios::badbit | std::ios::failbit);
  file << "side,rate,seed,steps,validation_loss,training_loss" << std::endl;

  const auto start = std::chrono::steady_clock::now();
  StatusLine line;
  std::mutex mutex;
  std::int64_t steps_done = 0;
  run_side_by_side(runs, workers, [&](std::size_t run) {
    Candidate& candidate = grid[run % grid.size()];
    TrainingPlan seeded = plan;
    seeded.seed = plan.seed + run / grid.size();

    const TrainingResult result =
        train(corpus, seeded, candidate.side.with(plan.shape, candidate.settings), [&](std::int64_t, double) {
          const std::lock_guard lock(mutex);
          ++steps_done;
          line.update([&] {
            const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
            const double done = static_cast<double>(steps_done) / static_cast<double>(plan.steps);
            return fixed(done, 1) + " of " + std::to_string(runs) + " trainings  " +
                   minutes(elapsed.count() * (static_cast<double>(runs) / done - 1)) + " left";
          });
        });

    const std::lock_guard lock(mutex);
    candidate.validation_losses[run / grid.size()] = result.end.loss;
    file << candidate.side.name << ',' << candidate.settings.learning_rate << ',' << seeded.seed << ','
         << plan.steps << ',' << result.end.loss << ',' << result.final_training_loss() << std::endl;
  });
  return grid;
}

}  // namespace language_model
