// SPDX-License-Identifier: Apache-2.0
// ratios FILE.json ...: a table of ratios of median times, each of two benchmarks of one run.
#include "run_file.hpp"
#include "targets.hpp"

#include <cstdio>
#include <exception>
#include <string>

namespace {

void print_ratios(const Medians& medians) {
  std::printf("%-41s %-22s %7s %6s\n", "benchmark (median ms)", "against (ms)", "ratio", "goal");
  for (const Target& target : targets()) {
    const double ratio = target.ratio.of(medians);
    if (ratio == 0) continue;
    char left[96], right[96], goal[16] = "";
    const auto& [benchmark, peer] = target.ratio;
    std::snprintf(left, sizeof left, "%s (%.3g)", benchmark.c_str(), medians.at(benchmark));
    // Peers are named by who they are, limits and other steps of symopt by what they do.
    const auto first = peer.find('/'), second = peer.find('/', first + 1);
    std::string who = peer.substr(0, first);
    if (who == "limit" || who == "symopt") who = peer.substr(first + 1, second - first - 1);
    std::snprintf(right, sizeof right, "%s (%.3g)", who.c_str(), medians.at(peer));
    if (target.goal > 0)
      std::snprintf(goal, sizeof goal, "%.3g%s", target.goal, ratio < target.goal ? " -" : "");
    std::printf("%-41s %-22s %7.2f %6s\n", left, right, ratio, goal);
  }
}

}  // namespace

int main(int argc, char** argv) {
  try {
    for (int i = 1; i < argc; ++i) {
      const nlohmann::json run = read_run(argv[i]);
      const auto& context = run.at("context");
      std::printf("%s%s: %s; %s", i > 1 ? "\n" : "", argv[i], context.value("processor", "?").c_str(),
                  context.value("symopt", "?").c_str());
      if (context.contains("OpenBLAS"))
        std::printf("; OpenBLAS kernel %s", context.at("OpenBLAS").get<std::string>().c_str());
      std::printf("\n");
      print_ratios(medians_of(run));
    }
  } catch (const std::exception& error) {
    std::fprintf(stderr, "ratios: %s\n", error.what());
    return 1;
  }
}
