// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <numeric>
#include <stdexcept>
#include <string>
#include <vector>

#include "race.hpp"

namespace language_model {

/// The mean over a window of about a fiftieth of all values around each value.
inline std::vector<double> smoothed(const std::vector<double>& values) {
  const std::ptrdiff_t radius = std::ssize(values) / 100;
  std::vector<double> means;
  for (std::ptrdiff_t i = 0; i < std::ssize(values); ++i) {
    const auto begin = values.begin() + std::max<std::ptrdiff_t>(0, i - radius);
    const auto end = values.begin() + std::min(std::ssize(values), i + radius + 1);
    means.push_back(std::reduce(begin, end) / static_cast<double>(end - begin));
  }
  return means;
}

/// Writes training-loss.csv, validation-loss.csv and loss-curves.gnuplot into `directory`, and lets gnuplot
/// draw loss-curves.svg from them.
/// @throws std::runtime_error when a file cannot be written or gnuplot fails or is missing.
inline void write_loss_curves(const std::filesystem::path& directory, const Race& race) {
  const auto create = [&](const char* name) {
    std::ofstream file(directory / name);
    file.exceptions(std::ios::badbit | std::ios::failbit);
    return file;
  };
  {
    const std::vector<double> adamw = smoothed(race.adamw.training_loss);
    const std::vector<double> derived = smoothed(race.derived.training_loss);
    std::ofstream file = create("training-loss.csv");
    file << "step,adamw,derived,adamw_smoothed,derived_smoothed\n";
    for (std::size_t i = 0; i < std::min(adamw.size(), derived.size()); ++i) {
      file << i + 1 << ',' << race.adamw.training_loss[i] << ',' << race.derived.training_loss[i] << ','
           << adamw[i] << ',' << derived[i] << '\n';
    }
  }
  {
    std::ofstream file = create("validation-loss.csv");
    file << "steps_done,adamw,derived\n";
    for (std::size_t i = 0; i < std::min(race.adamw.validation.size(), race.derived.validation.size()); ++i) {
      file << race.adamw.validation[i].step << ',' << race.adamw.validation[i].loss << ','
           << race.derived.validation[i].loss << '\n';
    }
  }
  create("loss-curves.gnuplot") << R"(set terminal svg size 760,460 font "sans-serif,14" background "#ffffff"
set output "loss-curves.svg"
set datafile separator ","
set border 3 linecolor "#606060"
set tics nomirror out scale 0.6
set format y "%.1f"
set grid ytics linecolor "#dddddd" linetype 1
set xlabel "optimizer steps"
set ylabel "loss, nats per token"
stats "validation-loss.csv" using 3 every ::1 nooutput
lowest = STATS_min
set yrange [floor(5 * lowest - 0.5) / 5.0 : floor(lowest) + 2]
set key inside top right Left reverse spacing 1.3
adamw = "#d1600a"
derived = "#1560a8"
plot "training-loss.csv" using 1:4 with lines linewidth 1.6 linecolor rgb adamw title "AdamW, training", \
     "validation-loss.csv" using 1:2 with points pointtype 7 pointsize 0.7 linecolor rgb adamw title "AdamW, validation", \
     "training-loss.csv" using 1:5 with lines linewidth 1.6 linecolor rgb derived title "derived, training", \
     "validation-loss.csv" using 1:3 with points pointtype 7 pointsize 0.7 linecolor rgb derived title "derived, validation"
)";

  // The shell gets the directory through the environment, so that no character in it needs quoting.
  ::setenv("LOSS_CURVES_DIRECTORY", std::filesystem::absolute(directory).c_str(), 1);
  if (std::system(R"(cd "$LOSS_CURVES_DIRECTORY" && gnuplot loss-curves.gnuplot)") != 0) {
    throw std::runtime_error(
        "gnuplot could not draw loss-curves.svg; install its package: apt-get install gnuplot-nox");
  }
}

}  // namespace language_model
