// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>

#include "arguments.hpp"

namespace language_model {

struct Options {
  static constexpr std::string_view usage =
      "usage: language_model [--steps N] [--seed N] [--output DIR] [--threads N]\n"
      "                      [--architecture NAME] [--width N] [--quick]\n"
      "                      [--attention] [--device NAME] [--ranks N]\n"
      "                      [--search] [--repeat LINE] [--report] [--parts]\n"
      "                      [--twins] [--help]\n"
      "\n"
      "Trains one small mixture-of-experts transformer three times on the King James\n"
      "text, with AdamW, with symopt's derived updates, and with the second moments\n"
      "that its groups derive, and compares them.\n"
      "\n"
      "  --steps N     optimizer steps of each training (default 700; with --quick 60)\n"
      "  --seed N      of the weights and of the order of the batches (default 1)\n"
      "  --output DIR  for curves and tables (default build/language_model)\n"
      "  --threads N   processor cores to use (default all); the trainings run side by\n"
      "                side, each with its share of them\n"
      "  --architecture NAME\n"
      "                mixture; dense, the same as --dense: one SwiGLU in each layer in\n"
      "                place of the experts; or a small qwen3, gemma3, olmoe or\n"
      "                gpt-oss; with --search also all, for these four\n"
      "  --width N     such a small architecture, N times as wide: with --search AdamW\n"
      "                and two rules at three rates\n"
      "  --device NAME where the tensors lie: cpu, or cuda where libtorch has it\n"
      "  --ranks N     train with second moments on N processes of MPI, each with its\n"
      "                share of every batch; prints their times, messages and states\n"
      "  --quick       a tiny model, in seconds: tests that all losses fall\n"
      "  --attention   a fourth column, with second moments for attention, too: full\n"
      "                matrices on the shorter side of each head\n"
      "  --search      search the learning rates of all rules, with three seeds, minutes\n"
      "                for each training; goes on where it was stopped. The trainings\n"
      "                are kept in the source tree, in\n"
      "                examples/language_model/search.csv; with --output or\n"
      "                --steps in DIR/search.csv\n"
      "  --repeat LINE train once more what a line of that table begins with, as\n"
      "                'paper,0.003,qwen3,700,2': rule, rate, architecture, steps, seed\n"
      "  --report      only print the tables of the trainings that were searched before\n"
      "  --parts       tell apart, at AdamW's own numbers, what the third column owes\n"
      "                to which part: three seeds\n"
      "  --twins       train pairs of models that a symmetry turns into each other, and\n"
      "                see how long their losses stay the same: four minutes, in the\n"
      "                program language_model_twins, which ./run demo --twins builds\n"
      "  --help        print this text\n";

  std::int64_t steps = 0;  ///< 0: the default of the mode
  std::uint64_t seed = 1;
  std::filesystem::path output = "build/language_model";
  bool has_output = false;  ///< whether that was given
  int threads = static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
  std::string architecture = "mixture";
  std::int64_t width = 1;  ///< times that of the small architecture
  std::string device = "cpu";
  int ranks = 0;  ///< 0: no MPI
  bool quick = false;
  bool attention = false;
  bool search = false;
  std::string repeat;  ///< the beginning of a line of the table
  bool report = false;
  bool parts = false;
  bool twins = false;
  bool help = false;
};

/// @throws std::invalid_argument that names the offending option.
inline Options parse_options(std::span<char* const> words) {
  Options options;
  for (Arguments arguments(words); arguments.next();) {
    const std::string_view name = arguments.name();
    if (name == "--steps") {
      options.steps = arguments.number(std::int64_t{20}, std::int64_t{1'000'000});
    } else if (name == "--seed") {
      options.seed = arguments.number(std::uint64_t{0}, std::numeric_limits<std::uint64_t>::max());
    } else if (name == "--output") {
      options.output = arguments.value();
      options.has_output = true;
    } else if (name == "--threads") {
      options.threads = arguments.number(1, 1'024);
    } else if (name == "--width") {
      options.width = arguments.number(std::int64_t{1}, std::int64_t{64});
    } else if (name == "--device") {
      options.device = arguments.value();
    } else if (name == "--ranks") {
      options.ranks = arguments.number(1, 1'024);
    } else if (name == "--dense") {
      options.architecture = "dense";
    } else if (name == "--architecture") {
      options.architecture = arguments.value();
    } else if (name == "--quick") {
      options.quick = true;
    } else if (name == "--attention") {
      options.attention = true;
    } else if (name == "--search") {
      options.search = true;
    } else if (name == "--repeat") {
      options.repeat = arguments.value();
    } else if (name == "--report") {
      options.report = true;
    } else if (name == "--parts") {
      options.parts = true;
    } else if (name == "--twins") {
      options.twins = true;
    } else if (name == "--help") {
      options.help = true;
    } else {
      arguments.refuse();
    }
  }
  return options;
}

}  // namespace language_model
