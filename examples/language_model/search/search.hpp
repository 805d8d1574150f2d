// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <ostream>
#include <sstream>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "../architecture.hpp"
#include "../sides.hpp"
#include "../training.hpp"
#include "planned_trainings.hpp"
#include "rate_grid.hpp"
#include "search_report.hpp"

namespace language_model {

/// The search of one side's rate, each rate with every seed.
struct SearchLine {
  Side side;
  RateGrid grid{};
  Settings settings{};                   ///< all but the rate
  std::vector<double> losses_by_rate{};  ///< the means over the seeds; filled by the search
};

/// A line for each side, all with equal rates.
inline std::vector<SearchLine> rate_lines(const Architecture& architecture) {
  std::vector<SearchLine> lines;
  for (const Side& side : architecture.searched)
    lines.push_back({.side = side, .grid = architecture.rates, .settings = architecture.settings});
  return lines;
}

/// The sides of the demo's own model and the parts of the last column, at AdamW's own numbers. In the dense
/// model, where it takes less time, each also without the decay, and the last column under AdamW's schedule.
inline std::vector<SearchLine> part_lines(const ModelShape& shape) {
  const RateGrid one_rate({Settings{}.learning_rate});
  std::vector<SearchLine> lines;
  for (const Side& side : searched_sides(false)) lines.push_back({.side = side, .grid = one_rate});
  for (const Side& side : parts(shape)) lines.push_back({.side = side, .grid = one_rate});
  if (shape.is_dense()) {
    lines.push_back({.side = stack_side("second moments; warm-up and cosine", second_moments, warmup_cosine),
                     .grid = one_rate});
    for (const Side& side : without_decay())
      lines.push_back({.side = side, .grid = one_rate, .settings = {.weight_decay = 0}});
  }
  return lines;
}

/// All lines that a search of an architecture trains.
inline std::vector<SearchLine> all_lines(const Architecture& architecture, const ModelShape& shape) {
  std::vector<SearchLine> lines = rate_lines(architecture);
  if (architecture.has_parts)
    for (const SearchLine& line : part_lines(shape)) lines.push_back(line);
  return lines;
}

/// Trains a model by all lines with the seeds of its architecture. Results go into a table as they come, and
/// those that stand in it are taken from there. The loss is that of the held-out blocks, for all sides alike.
class Search {
 public:
  Search(const Corpus& corpus, const TrainingPlan& plan, const Architecture& architecture,
         std::size_t workers, std::filesystem::path table)
      : corpus_(corpus),
        plan_(plan),
        architecture_(architecture),
        workers_(workers),
        table_(std::move(table)) {}

  /// One training of a line. @param seed_number 0 for the plan's seed, 1 for the next
  PlannedTraining training(const SearchLine& line, double rate, std::size_t seed_number) const {
    TrainingPlan plan = plan_;
    plan.seed += seed_number;
    plan.validations = 0;  // a search looks at the end alone
    Settings settings = line.settings;
    settings.learning_rate = rate;
    std::ostringstream text;
    text << line.side.name << ',' << rate << ',' << architecture_.name << ',' << plan.steps << ','
         << plan.seed << ',';
    return {.description = text.str(),
            .steps = plan.steps,
            .train = [this, plan, settings, side = line.side](const StepObserver& observe) {
              return language_model::train(corpus_, plan, architecture_.make, side.with(plan.shape, settings),
                                           observe);
            }};
  }

  /// Where the best rate of a line is the lowest or the highest, another one beyond it is tried, and so on.
  void run(std::vector<SearchLine> lines) const {
    bool is_wider = true;
    while (is_wider) {
      train(lines);
      is_wider = false;
      for (SearchLine& line : lines) is_wider = line.grid.widen(line.losses_by_rate) || is_wider;
    }
  }

 private:
  void train(std::vector<SearchLine>& lines) const {
    const std::size_t seeds = architecture_.seeds;
    std::vector<PlannedTraining> trainings;
    for (std::size_t seed = 0; seed < seeds; ++seed)
      for (const SearchLine& line : lines)
        for (const double rate : line.grid.rates()) trainings.push_back(training(line, rate, seed));
    const std::vector<double> losses =
        run_planned(trainings, workers_, table_, "side,rate,architecture,steps,seed");
    auto next = losses.begin();
    for (SearchLine& line : lines) line.losses_by_rate.assign(line.grid.rates().size(), 0);
    for (std::size_t seed = 0; seed < seeds; ++seed)
      for (SearchLine& line : lines)
        for (double& mean_loss : line.losses_by_rate) mean_loss += *next++ / static_cast<double>(seeds);
  }

  const Corpus& corpus_;
  TrainingPlan plan_;
  const Architecture& architecture_;
  std::size_t workers_;
  std::filesystem::path table_;
};

/// Prints the tables of all trainings in a file. @throws std::runtime_error where it cannot be read.
inline void print_report_of(std::ostream& out, const std::filesystem::path& table) {
  std::ifstream file(table);
  if (!file) throw std::runtime_error("cannot read " + table.string() + "; --search writes such a table");
  print_search_report(out, SearchTable(file).trainings());
}

}  // namespace language_model
