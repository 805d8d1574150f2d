// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <language_model/loss_curves.hpp>
#include <language_model/race.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <filesystem>
#include <sstream>
#include <string>

namespace lora {

/// The commands by which gnuplot draws the validation losses of both starts beside each other, from the
/// tables in usual/ and badly-scaled/.
inline std::string gnuplot_script(const language_model::Race& race) {
  // Of Okabe and Ito: told apart by readers who see few colours; each has a shape of points besides.
  constexpr std::array colours{"#d55e00", "#0072b2", "#009e73"};
  constexpr std::array points{7, 5, 9};
  std::ostringstream script;
  double lowest = race.front().result.start.loss;
  for (const auto& runner : race) lowest = std::min(lowest, runner.result.end.loss);
  script << R"(set terminal svg size 860,400 font "sans-serif,14" background "#ffffff"
set output "lora.svg"
set datafile separator ","
set border 3 linecolor "#606060"
set tics nomirror out scale 0.6
set format y "%.1f"
set grid ytics linecolor "#dddddd" linetype 1
set xlabel "optimizer steps"
set key inside top right Left reverse spacing 1.2
)"
         << "set multiplot layout 1,2\n";
  const auto panel = [&](const char* directory, const char* title, const char* label, double above_start) {
    script << "set yrange [" << lowest - 0.15 << ':' << race.front().result.start.loss + above_start
           << "]\nset title \"" << title << "\"\nset ylabel \"" << label << "\"\nplot";
    for (std::size_t i = 0; i < race.size(); ++i)
      script << (i == 0 ? " " : ", \\\n     ") << '"' << directory
             << "/validation-loss.csv\" using 1:" << 2 + i
             << " with linespoints linewidth 1.5 pointsize 0.7 pointtype " << points[i % points.size()]
             << " linecolor rgb \"" << colours[i % colours.size()] << "\" title \"" << race[i].name << '"';
    script << '\n';
  };
  panel("usual", "as LoRA starts", "validation loss, nats per token", 0.35);
  script << "unset key\n";
  panel("badly-scaled", "down times 30, at the same rate; other scale", "", 2.3);  // most of what diverges
  script << "unset multiplot\n";
  return script.str();
}

}  // namespace lora
