// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <functional>
#include <sstream>
#include <string>
#include <vector>

#include "../search/search_summary.hpp"
#include "../statistics.hpp"
#include "experiment_tables.hpp"

namespace language_model::page {

/// The training loss over twenty parts of the steps, the mean of the seeds at the best rate; empty where a
/// training's curve is not known.
inline std::vector<double> mean_curve(const SideSummary& side) {
  std::vector<double> sum;
  for (const SearchedTraining& training : side.best()) {
    if (training.curve.empty() || (!sum.empty() && sum.size() != training.curve.size())) return {};
    sum.resize(training.curve.size());
    std::ranges::transform(sum, training.curve, sum.begin(), std::plus());
  }
  for (double& value : sum) value /= static_cast<double>(side.best().size());
  return sum;
}

/// A picture by gnuplot: its size in pixels, and the commands that draw it.
struct Curves {
  std::string size, commands;
};

/// A panel for each architecture, with a line for each of its rules; no commands where no curve is known.
inline Curves curves_of(const std::vector<ArchitectureSummary>& summaries) {
  constexpr std::array colours{"orange", "blue", "green"};  // of the picture's style
  constexpr std::array points{7, 5, 9};
  std::ostringstream data, panels;
  std::size_t panel_count = 0;
  for (const ArchitectureSummary& summary : summaries) {
    const std::string second = searched(summary, "paper") != nullptr ? "paper" : "derived";
    std::string plot;
    std::size_t line = 0;
    for (const std::string& rule : {std::string("AdamW"), second, std::string("second moments")}) {
      const SideSummary* side = searched(summary, rule);
      const std::vector<double> curve = side == nullptr ? std::vector<double>{} : mean_curve(*side);
      if (curve.empty()) break;
      const std::string block = "$curve" + std::to_string(panel_count) + "_" + std::to_string(line);
      data << block << " << END\n";
      for (std::size_t i = 0; i < curve.size(); ++i)
        data << (static_cast<double>(i) + 0.5) * static_cast<double>(summary.steps) /
                    static_cast<double>(curve.size())
             << ' ' << curve[i] << '\n';
      data << "END\n";
      plot += (line == 0 ? "plot " : ", ") + block +
              " with linespoints linewidth 1.4 pointsize 0.5 pointtype " + std::to_string(points[line]) +
              " linecolor rgb " + colours[line] + " title \"" + rule + "\"";
      ++line;
    }
    if (line < colours.size()) continue;
    panels << "set title \"" << summary.architecture << "\"\n" << plot << '\n';
    ++panel_count;
  }
  if (panel_count == 0) return {};
  const std::size_t columns = std::min<std::size_t>(panel_count, 2),
                    rows = (panel_count + columns - 1) / columns;
  std::ostringstream commands;
  commands << data.str() << R"(set format y "%.1f"
set yrange [3.2:6.4]
set xlabel "optimizer steps"
set ylabel "training loss, nats per token"
set key inside top right Left reverse spacing 1.2
set multiplot layout )"
           << rows << ',' << columns << '\n'
           << panels.str() << "unset multiplot\n";
  return {std::to_string(440 * columns) + "," + std::to_string(300 * rows), commands.str()};
}

}  // namespace language_model::page
