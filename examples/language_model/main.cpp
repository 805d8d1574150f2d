// SPDX-License-Identifier: Apache-2.0

// Trains one transformer three times on the same text: with AdamW, with symopt's derived updates for each
// class of its parameters, and with the second moments that the groups of embedding, head and routers derive.

#include <torch/torch.h>

#include <algorithm>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <iostream>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "corpus.hpp"
#include "king_james.hpp"
#include "loss_curves.hpp"
#include "options.hpp"
#include "passive_threads.hpp"
#include "race.hpp"
#include "ranks.hpp"
#include "report.hpp"
#include "search.hpp"
#include "sides.hpp"
#include "tokenizer.hpp"
#include "training.hpp"
#include "twins.hpp"

namespace {

using namespace language_model;

/// @throws std::invalid_argument for a device that this libtorch does not have.
torch::Device device_of(const Options& options) {
  if (options.device == "cpu") return torch::kCPU;
  if (options.device != "cuda" && !options.device.starts_with("cuda:"))
    throw std::invalid_argument("--device is cpu or cuda, not '" + options.device + "'");
  if (!torch::cuda::is_available())
    throw std::invalid_argument(
        "--device cuda: this libtorch sees no such device; Debian's has none, that of pytorch.org does");
  return torch::Device(options.device);
}

TrainingPlan plan_for(const Options& options) {
  TrainingPlan plan;
  if (options.quick) {
    plan.shape = {.width = 32, .layers = 1, .heads = 2, .experts = 4, .neurons = 48, .context = 32};
    plan.sequences = 8;
    plan.steps = 60;
  }
  if (options.dense) {
    plan.shape.experts = 0;
    plan.shape.neurons *= plan.shape.chosen;  // as many for a token
  }
  if (options.steps != 0) plan.steps = options.steps;
  plan.seed = options.seed;
  plan.device = device_of(options);
  return plan;
}

void search(const Corpus& corpus, const TrainingPlan& plan, const Options& options,
            std::vector<Candidate> grid) {
  at::set_num_threads(1);  // a core for each training
  const std::filesystem::path file = options.output / "search.csv";
  print_search(std::cout,
               run_search(corpus, plan, static_cast<std::size_t>(options.threads), std::move(grid), file));
  std::cout << "written: " << file.string() << "; without it a search begins anew\n";
}

/// @returns whether all losses fell.
bool demonstrate(const Corpus& corpus, const TrainingPlan& plan, const Options& options) {
  const std::vector<Side> sides = columns(options.attention);
  const Kinds& kinds = options.attention ? moments_of_attention_too : second_moments;
  at::set_num_threads(std::max(1, options.threads / static_cast<int>(sides.size())));
  print_introduction(std::cout, corpus, plan, sides.size());
  std::cout << "\nThe last column, " << sides.back().name << ", by parameter:\n"
            << make_stack(Transformer{plan.shape, plan.seed}, plan.shape, kinds, {})->plan() << '\n';
  std::vector<Entrant> entrants;
  for (const Side& side : sides)
    entrants.push_back({.name = side.name, .train = [&](const StepObserver& observe) {
                          return train(corpus, plan, side.with(plan.shape, {}), observe);
                        }});
  const Race race = run_race(entrants, plan.steps, options.threads);
  print_table(std::cout, plan, race);
  write_loss_tables(options.output, race);
  draw(options.output, "loss-curves", gnuplot_script(race));
  std::cout << "written: " << (options.output / "loss-curves.svg").string()
            << " and the CSV files beside it\n";
  if (std::ranges::all_of(race, [](const Runner& runner) { return runner.result.improved(); })) return true;
  std::cerr << "language_model: a loss did not fall\n";
  return false;
}

/// @returns whether all twins that have to stay together do.
bool train_twins(const Corpus& corpus, TrainingPlan plan, const Options& options) {
  at::set_num_threads(1);  // the optimizers run side by side
  plan.sequences = 2;
  if (options.steps == 0) plan.steps = options.quick ? 20 : 100;
  return show_twins(std::cout, corpus, plan);
}

}  // namespace

int main(int count, char** arguments) {
  ensure_passive_threads(arguments);
  try {
    const Options options = parse_options(std::span(arguments + 1, static_cast<std::size_t>(count) - 1));
    if (options.help) {
      std::cout << Options::usage;
      return EXIT_SUCCESS;
    }
    std::filesystem::create_directories(options.output);
    const TrainingPlan plan = plan_for(options);
    const Corpus corpus = make_corpus(tokenize(read_king_james()), plan.shape.vocabulary);
    if (options.ranks > 0) return show_ranks(corpus, plan, options) ? EXIT_SUCCESS : EXIT_FAILURE;
    if (options.twins) return train_twins(corpus, plan, options) ? EXIT_SUCCESS : EXIT_FAILURE;
    if (options.search) search(corpus, plan, options, search_grid());
    if (options.search || options.parts) search(corpus, plan, options, parts_grid(plan.shape));
    if (options.search || options.parts) return EXIT_SUCCESS;
    return demonstrate(corpus, plan, options) ? EXIT_SUCCESS : EXIT_FAILURE;
  } catch (const std::invalid_argument& error) {
    std::cerr << "language_model: " << error.what() << "\n\n" << Options::usage;
  } catch (const std::exception& error) {
    std::cerr << "language_model: " << error.what() << '\n';
  }
  return EXIT_FAILURE;
}
