// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <cctype>
#include <cstddef>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <numeric>
#include <sstream>
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

/// The name as that of a column: "second_moments".
inline std::string column_name(std::string name) {
  std::ranges::transform(name, name.begin(), [](char letter) {
    return letter == ' ' ? '_' : static_cast<char>(std::tolower(static_cast<unsigned char>(letter)));
  });
  return name;
}

/// The commands by which gnuplot draws both tables.
inline std::string gnuplot_script(const Race& race) {
  // Of Okabe and Ito: told apart by readers who see few colours; each has a shape of points besides.
  constexpr std::array colours{"#d55e00", "#0072b2", "#009e73", "#cc79a7"};
  constexpr std::array points{7, 5, 9, 13};
  std::ostringstream script;
  script << R"(set terminal svg size 760,460 font "sans-serif,14" background "#ffffff"
set output "loss-curves.svg"
set datafile separator ","
set border 3 linecolor "#606060"
set tics nomirror out scale 0.6
set format y "%.1f"
set grid ytics linecolor "#dddddd" linetype 1
set xlabel "optimizer steps"
set ylabel "loss, nats per token"
lowest = 1e300
)";
  for (std::size_t runner = 0; runner < race.size(); ++runner)
    script << "stats \"validation-loss.csv\" using " << runner + 2 << " every ::1 nooutput\n"
           << "if (STATS_min < lowest) lowest = STATS_min\n";
  script << R"(set yrange [floor(5 * lowest - 0.5) / 5.0 : floor(5 * lowest) / 5.0 + 1.4]
set key inside top right Left reverse spacing 1.3
plot)";
  for (std::size_t runner = 0; runner < race.size(); ++runner) {
    const char* colour = colours[runner % colours.size()];
    script << (runner == 0 ? " " : ", \\\n     ")
           << "\"training-loss.csv\" using 1:" << 2 + race.size() + runner
           << " with lines linewidth 1.2 linecolor rgb \"" << colour << "\" notitle, \\\n"
           << "     \"validation-loss.csv\" using 1:" << 2 + runner << " with points pointtype "
           << points[runner % points.size()] << " pointsize 0.8 linecolor rgb \"" << colour
           << "\" notitle, \\\n"
           << "     NaN with linespoints linewidth 1.2 pointtype " << points[runner % points.size()]
           << " pointsize 0.8 linecolor rgb \"" << colour << "\" title \"" << race[runner].name << "\"";
  }
  script << ", \\\n     NaN with lines linecolor rgb \"#808080\" title \"training, smoothed\", \\\n"
         << "     NaN with points pointtype 7 pointsize 0.8 linecolor rgb \"#808080\" title \"validation\"\n";
  return script.str();
}

/// A file to write into. @throws std::ios_base::failure when it cannot be written.
inline std::ofstream create(const std::filesystem::path& path) {
  std::ofstream file(path);
  file.exceptions(std::ios::badbit | std::ios::failbit);
  return file;
}

/// Writes training-loss.csv and validation-loss.csv into `directory`.
inline void write_loss_tables(const std::filesystem::path& directory, const Race& race) {
  const auto of_all = [&](auto&& figure) {  // ",a,b,c"
    std::ostringstream text;
    for (std::size_t runner = 0; runner < race.size(); ++runner) text << ',' << figure(runner);
    return text.str();
  };
  const auto name = [&](std::size_t runner) { return column_name(race[runner].name); };
  {
    std::vector<std::vector<double>> means;
    std::size_t steps = race.front().result.training_loss.size();
    for (const Runner& runner : race) {
      means.push_back(smoothed(runner.result.training_loss));
      steps = std::min(steps, means.back().size());
    }
    std::ofstream file = create(directory / "training-loss.csv");
    file << "step" << of_all(name) << of_all([&](std::size_t runner) { return name(runner) + "_smoothed"; })
         << '\n';
    for (std::size_t i = 0; i < steps; ++i)
      file << i + 1 << of_all([&](std::size_t runner) { return race[runner].result.training_loss[i]; })
           << of_all([&](std::size_t runner) { return means[runner][i]; }) << '\n';
  }
  {
    std::size_t points = race.front().result.validation.size();
    for (const Runner& runner : race) points = std::min(points, runner.result.validation.size());
    std::ofstream file = create(directory / "validation-loss.csv");
    file << "steps_done" << of_all(name) << '\n';
    for (std::size_t i = 0; i < points; ++i)
      file << race.front().result.validation[i].step
           << of_all([&](std::size_t runner) { return race[runner].result.validation[i].loss; }) << '\n';
  }
}

/// Writes `name`.gnuplot into `directory`, and lets gnuplot draw what it says.
/// @throws std::runtime_error when the file cannot be written or gnuplot fails or is missing.
inline void draw(const std::filesystem::path& directory, const std::string& name, const std::string& script) {
  create(directory / (name + ".gnuplot")) << script;

  // The shell gets the names through the environment, so that no character in them needs quoting.
  ::setenv("CURVES_DIRECTORY", std::filesystem::absolute(directory).c_str(), 1);
  ::setenv("CURVES_SCRIPT", (name + ".gnuplot").c_str(), 1);
  if (std::system(R"(cd "$CURVES_DIRECTORY" && gnuplot "$CURVES_SCRIPT")") != 0) {
    throw std::runtime_error("gnuplot could not draw " + name +
                             ".svg; install its package: apt-get install gnuplot-nox");
  }
}

}  // namespace language_model
