// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <functional>
#include <limits>
#include <mutex>
#include <optional>
#include <ostream>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../parallel.hpp"
#include "../status_line.hpp"
#include "../text.hpp"
#include "../training.hpp"

namespace language_model {

/// One training of a search.
struct PlannedTraining {
  std::string description;  ///< as its line of the table begins: "AdamW,0.001,dense,700,1,"
  std::int64_t steps;       ///< for the time that is left
  std::function<TrainingResult(const StepObserver&)> train;
};

/// The trainings that are in a table already, by what they were: whoever stops a search of hours may go on.
class FinishedTrainings {
 public:
  explicit FinishedTrainings(std::filesystem::path table) {
    std::ifstream file(table);
    for (std::string line; std::getline(file, line);) lines_.push_back(line);
  }

  bool empty() const { return lines_.empty(); }
  /// The validation loss of the training whose line begins like that; NaN where it diverged.
  /// @throws std::runtime_error for a line that ends too early
  std::optional<double> find(const std::string& beginning) const {
    for (const std::string& line : lines_) {
      if (!line.starts_with(beginning)) continue;
      std::istringstream entries(line.substr(beginning.size()) + ',');
      std::string loss, training_loss, diverged;
      std::getline(std::getline(std::getline(entries, loss, ','), training_loss, ','), diverged, ',');
      if (loss.empty()) throw std::runtime_error("the table of trainings has a line without a loss: " + line);
      return diverged == "1" ? std::numeric_limits<double>::quiet_NaN() : std::stod(loss);
    }
    return std::nullopt;
  }

 private:
  std::vector<std::string> lines_;
};

/// The columns of a training's results, after those of its description.
inline constexpr std::string_view result_columns =
    "validation_loss,training_loss,diverged,state_bytes,step_ms,update_ms,load_entropy,dead_share,"
    "largest_logit,curve";

inline void write_results(std::ostream& out, const TrainingResult& result) {
  out << result.end.loss << ',' << result.final_training_loss() << ',' << (result.improved() ? 0 : 1) << ','
      << result.state_bytes << ',' << 1e3 * result.seconds_per_step << ','
      << 1e3 * result.update_seconds_per_step << ',' << result.end.routers.load_entropy << ','
      << result.end.routers.dead_fraction << ',' << result.end.routers.largest_logit << ',';
  const char* separator = "";
  for (const double loss : result.training_curve()) out << std::exchange(separator, " ") << loss;
}

/// Runs trainings, `workers` of them side by side, and returns their validation losses on all held-out
/// blocks, NaN where one diverged. Results go into a table as they come, and those that stand in it are taken
/// from there. `columns` names what descriptions have: "side,rate,architecture,steps,seed".
inline std::vector<double> run_planned(const std::vector<PlannedTraining>& trainings, std::size_t workers,
                                       const std::filesystem::path& table, std::string_view columns) {
  std::vector<double> losses(trainings.size());
  std::vector<std::size_t> missing;
  const FinishedTrainings finished(table);
  for (std::size_t i = 0; i < trainings.size(); ++i) {
    if (const auto loss = finished.find(trainings[i].description)) {
      losses[i] = *loss;
    } else {
      missing.push_back(i);
    }
  }
  if (missing.empty()) return losses;

  std::ofstream file(table, std::ios::app);
  file.exceptions(std::ios::badbit | std::ios::failbit);
  if (finished.empty()) file << columns << ',' << result_columns << std::endl;

  const auto start = std::chrono::steady_clock::now();
  StatusLine line;
  std::mutex mutex;
  double done = 0;  // trainings
  run_side_by_side(missing.size(), workers, [&](std::size_t index) {
    const PlannedTraining& training = trainings[missing[index]];
    const TrainingResult result = training.train([&](std::int64_t, double) {
      const std::lock_guard lock(mutex);
      done += 1 / static_cast<double>(training.steps);
      line.update([&] {
        const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
        return fixed(done, 1) + " of " + std::to_string(missing.size()) + " trainings  " +
               minutes(elapsed.count() * (static_cast<double>(missing.size()) / done - 1)) + " left";
      });
    });

    const std::lock_guard lock(mutex);
    losses[missing[index]] = result.improved() ? result.end.loss : std::numeric_limits<double>::quiet_NaN();
    file << training.description;
    write_results(file, result);
    file << std::endl;
  });
  return losses;
}

}  // namespace language_model
