// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <language_model/search/planned_trainings.hpp>
#include <language_model/statistics.hpp>
#include <language_model/text.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <iomanip>
#include <iostream>
#include <ostream>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "fine_tuning.hpp"

namespace lora {

/// The search of one method's rate from one start.
struct Line {
  Method method;
  Start start;
  int lowest;                    ///< number of the grid's lowest rate
  double found;                  ///< the rate that the program has from an earlier search
  std::vector<int> rates{};      ///< that were tried, by number
  std::vector<double> losses{};  ///< of each, with the first seed; NaN after divergence
  std::vector<double> best{};    ///< with the best rate, one for each seed

  int best_rate() const {
    const auto is_lower = [](double a, double b) { return a < b || (std::isnan(b) && !std::isnan(a)); };
    return rates[static_cast<std::size_t>(std::ranges::min_element(losses, is_lower) - losses.begin())];
  }
};

/// The searches from one start, all of as many trainings.
///@{
inline std::vector<Line> usual_lines() {
  std::vector<Line> lines;
  for (const Method& method : methods())
    lines.push_back({method, usual_start(), method.lowest_rate, method.rate});
  return lines;
}
inline std::vector<Line> badly_scaled_lines() {
  std::vector<Line> lines;
  for (const Method& method : methods())
    lines.push_back(
        {method, badly_scaled_start(), method.lowest_rate_badly_scaled, method.rate_badly_scaled});
  return lines;
}
///@}

/// One training of a search; the plan has its seed.
using SearchedTraining =
    std::function<TrainingResult(const TrainingPlan& plan, const Method& method, double rate,
                                 const Start& start, const StepObserver& observe)>;

/// Searches the rates of lines. Results go into a table as they come, and those that stand there are taken.
class Searcher {
 public:
  Searcher(SearchedTraining train, const TrainingPlan& plan, std::int64_t base_steps, std::size_t workers,
           std::filesystem::path table)
      : train_(std::move(train)),
        plan_(plan),
        base_steps_(base_steps),
        workers_(workers),
        table_(std::move(table)) {}

  /// Five rates with a factor of the root of 10 from each to the next, then the two beside the best of them,
  /// all with one seed; then two more seeds of the best.
  std::vector<Line> run(std::vector<Line> lines) const {
    constexpr int points = 5;
    constexpr std::size_t seeds = 3;
    try_rates(lines, [](const Line& line) {
      std::vector<int> rates;
      for (int point = 0; point < points; ++point) rates.push_back(line.lowest + 2 * point);
      return rates;
    });
    try_rates(lines, [](const Line& line) {
      return std::vector{line.best_rate() - 1, line.best_rate() + 1};
    });
    std::vector<language_model::PlannedTraining> trainings;
    for (const Line& line : lines)
      for (std::size_t seed = 0; seed < seeds; ++seed)
        trainings.push_back(training(line, line.best_rate(), seed));
    const std::vector<double> losses = run_all(trainings);
    for (std::size_t i = 0; i < losses.size(); ++i) lines[i / seeds].best.push_back(losses[i]);
    return lines;
  }

 private:
  template <class RatesOf>
  void try_rates(std::vector<Line>& lines, RatesOf rates_of) const {
    std::vector<language_model::PlannedTraining> trainings;
    std::vector<Line*> owners;
    for (Line& line : lines)
      for (const int rate : rates_of(std::as_const(line))) {
        line.rates.push_back(rate);
        trainings.push_back(training(line, rate, 0));
        owners.push_back(&line);
      }
    const std::vector<double> losses = run_all(trainings);
    for (std::size_t i = 0; i < losses.size(); ++i) owners[i]->losses.push_back(losses[i]);
  }

  language_model::PlannedTraining training(const Line& line, int rate, std::size_t seed) const {
    TrainingPlan plan = plan_;
    plan.seed += seed;
    std::ostringstream text;
    text << line.method.name << ',' << line.start.name << ',' << rate_number(rate) << ',' << base_steps_
         << ',' << plan.steps << ',' << plan.seed << ',';
    return {
        .description = text.str(),
        .steps = plan.steps,
        .train = [this, plan, method = line.method, start = line.start, rate](const StepObserver& observe) {
          return train_(plan, method, rate_number(rate), start, observe);
        }};
  }

  std::vector<double> run_all(const std::vector<language_model::PlannedTraining>& trainings) const {
    return language_model::run_planned(trainings, workers_, table_,
                                       "optimizer,start,rate,base_steps,steps,seed");
  }

  SearchedTraining train_;
  TrainingPlan plan_;
  std::int64_t base_steps_;
  std::size_t workers_;
  std::filesystem::path table_;
};

/// Prints the validation losses of lines: of one seed, and at the best rate the mean of three and their
/// standard deviation. On standard error it names those whose best rate is not the one that the program has.
/// @returns whether there are none of these.
inline bool print_lines(std::ostream& out, const std::vector<Line>& lines) {
  using language_model::fixed;
  bool is_as_found = true;
  for (const Line& line : lines) {
    out << line.method.name << ", " << line.start.name << ":\n";
    std::vector<int> rates = line.rates;
    std::ranges::sort(rates);
    for (const int rate : rates) {
      const auto at = static_cast<std::size_t>(std::ranges::find(line.rates, rate) - line.rates.begin());
      out << std::setw(12) << rate_number(rate) << std::setw(10) << fixed(line.losses[at], 4);
      if (rate == line.best_rate())
        out << "  best: " << fixed(language_model::mean(line.best), 4) << " +- "
            << fixed(language_model::spread(line.best), 4);
      out << '\n';
    }
    if (const double best = rate_number(line.best_rate()); best != line.found) {
      std::cerr << "lora: the best rate of " << line.method.name << ", " << line.start.name << ", is " << best
                << ", and optimizers.hpp has " << line.found << '\n';
      is_as_found = false;
    }
  }
  return is_as_found;
}

/// Searches from both starts, LoRA's own first, and prints each when it is finished.
/// @returns whether the rates of the program are the best ones.
inline bool print_search(std::ostream& out, const Searcher& searcher) {
  out << "validation loss, nats per token: one seed at each rate, three at the best\n";
  const bool usual = print_lines(out, searcher.run(usual_lines()));
  const bool badly_scaled = print_lines(out, searcher.run(badly_scaled_lines()));
  return usual && badly_scaled;
}

}  // namespace lora
