// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iomanip>
#include <mutex>
#include <numeric>
#include <optional>
#include <ostream>
#include <sstream>
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

/// The trainings that are in a table already, by what they were: whoever stops a search of hours may go on.
class FinishedTrainings {
 public:
  explicit FinishedTrainings(std::filesystem::path table) {
    std::ifstream file(table);
    for (std::string line; std::getline(file, line);) lines_.push_back(line);
  }

  bool empty() const { return lines_.empty(); }
  /// The validation loss of the training whose line begins like that.
  std::optional<double> find(const std::string& beginning) const {
    for (const std::string& line : lines_)
      if (line.starts_with(beginning)) return std::stod(line.substr(beginning.size()));
    return std::nullopt;
  }

 private:
  std::vector<std::string> lines_;
};

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

/// Trains every point of the grid with every seed and returns the grid with its losses. Results go into a
/// table as they come, and those that stand in it are taken from there. The loss is that of the held-out
/// blocks, for all sides alike.
inline std::vector<Candidate> run_search(const Corpus& corpus, const TrainingPlan& plan, std::size_t workers,
                                         std::vector<Candidate> grid, const std::filesystem::path& table) {
  constexpr std::size_t seeds = 3;
  for (Candidate& candidate : grid) candidate.validation_losses.resize(seeds);

  struct Run {
    Candidate* candidate;
    std::size_t seed;
    std::string description;  // as its line begins
  };
  const FinishedTrainings finished(table);
  std::vector<Run> runs;
  for (std::size_t seed = 0; seed < seeds; ++seed) {
    for (Candidate& candidate : grid) {
      std::ostringstream text;
      text << candidate.side.name << ',' << candidate.settings.learning_rate << ','
           << (plan.shape.is_dense() ? "dense" : "mixture") << ',' << plan.steps << ',' << plan.seed + seed
           << ',';
      if (const auto loss = finished.find(text.str())) {
        candidate.validation_losses[seed] = *loss;
      } else {
        runs.push_back({&candidate, seed, text.str()});
      }
    }
  }

  std::ofstream file(table, std::ios::app);
  file.exceptions(std::ios::badbit | std::ios::failbit);
  if (finished.empty())
    file << "side,rate,architecture,steps,seed,validation_loss,training_loss" << std::endl;

  const auto start = std::chrono::steady_clock::now();
  StatusLine line;
  std::mutex mutex;
  std::int64_t steps_done = 0;
  run_side_by_side(runs.size(), workers, [&](std::size_t index) {
    const Run& run = runs[index];
    TrainingPlan seeded = plan;
    seeded.seed = plan.seed + run.seed;

    const OptimizerFactory make = run.candidate->side.with(plan.shape, run.candidate->settings);
    const TrainingResult result = train(corpus, seeded, make, [&](std::int64_t, double) {
      const std::lock_guard lock(mutex);
      ++steps_done;
      line.update([&] {
        const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
        const double done = static_cast<double>(steps_done) / static_cast<double>(plan.steps);
        return fixed(done, 1) + " of " + std::to_string(runs.size()) + " trainings  " +
               minutes(elapsed.count() * (static_cast<double>(runs.size()) / done - 1)) + " left";
      });
    });

    const std::lock_guard lock(mutex);
    run.candidate->validation_losses[run.seed] = result.end.loss;
    file << run.description << result.end.loss << ',' << result.final_training_loss() << std::endl;
  });
  return grid;
}

}  // namespace language_model
