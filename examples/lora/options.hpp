// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <language_model/arguments.hpp>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <span>
#include <string_view>
#include <thread>

namespace lora {

struct Options {
  static constexpr std::string_view usage =
      "usage: lora [--steps N] [--base-steps N] [--seed N] [--output DIR] [--threads N]\n"
      "            [--search] [--show-search] [--quick] [--help]\n"
      "\n"
      "Trains a language model on the Old Testament in the King James text, and\n"
      "fine-tunes it on the New Testament by LoRA of rank 8 on all matrices: with\n"
      "AdamW, with Muon on each block, and with symopt's LoraPair; as LoRA starts, and\n"
      "with the same pairs written in another way.\n"
      "\n"
      "  --steps N      optimizer steps of each fine-tuning (default 300)\n"
      "  --base-steps N of the base model, which is trained once and kept (default 700)\n"
      "  --seed N       of the pairs and of the order of the batches (default 1)\n"
      "  --output DIR   for the base model, curves and tables (default build/lora)\n"
      "  --threads N    processor cores to use (default all)\n"
      "  --search       repeat the search of the rates, for both starts, and three seeds\n"
      "                 of the best; one that was stopped goes on\n"
      "  --show-search  print the table of a search that was run before\n"
      "  --quick        a tiny model in double, in seconds: tests that losses fall, and\n"
      "                 who sees in which way a pair is written\n"
      "  --help         print this text\n";

  std::int64_t steps = 300;
  std::int64_t base_steps = 700;
  std::uint64_t seed = 1;
  std::filesystem::path output = "build/lora";
  int threads = static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
  bool search = false;
  bool show_search = false;
  bool quick = false;
  bool help = false;
};

/// @throws std::invalid_argument that names the offending option.
inline Options parse_options(std::span<char* const> words) {
  Options options;
  for (language_model::Arguments arguments(words); arguments.next();) {
    const std::string_view name = arguments.name();
    if (name == "--steps") {
      options.steps = arguments.number(std::int64_t{20}, std::int64_t{1'000'000});
    } else if (name == "--base-steps") {
      options.base_steps = arguments.number(std::int64_t{20}, std::int64_t{1'000'000});
    } else if (name == "--seed") {
      options.seed = arguments.number(std::uint64_t{0}, std::numeric_limits<std::uint64_t>::max());
    } else if (name == "--output") {
      options.output = arguments.value();
    } else if (name == "--threads") {
      options.threads = arguments.number(1, 1'024);
    } else if (name == "--search") {
      options.search = true;
    } else if (name == "--show-search") {
      options.show_search = true;
    } else if (name == "--quick") {
      options.quick = true;
    } else if (name == "--help") {
      options.help = true;
    } else {
      arguments.refuse();
    }
  }
  return options;
}

}  // namespace lora
