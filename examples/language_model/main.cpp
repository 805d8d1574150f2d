// SPDX-License-Identifier: Apache-2.0

// Trains one transformer twice on the same text, with AdamW and with symopt's derived updates for each class
// of its parameters.

#include <torch/torch.h>

#include <algorithm>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <iostream>
#include <span>
#include <stdexcept>

#include "corpus.hpp"
#include "king_james.hpp"
#include "loss_curves.hpp"
#include "options.hpp"
#include "passive_threads.hpp"
#include "race.hpp"
#include "report.hpp"
#include "search.hpp"
#include "tokenizer.hpp"
#include "training.hpp"

namespace {

using namespace language_model;

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
  return plan;
}

void search(const Corpus& corpus, const TrainingPlan& plan, const Options& options) {
  at::set_num_threads(1);  // a core for each training
  print_search(std::cout,
               run_search(corpus, plan, static_cast<std::size_t>(options.threads), options.output));
  std::cout << "written: " << (options.output / "search.csv").string() << '\n';
}

/// @returns whether both losses fell.
bool demonstrate(const Corpus& corpus, const TrainingPlan& plan, const Options& options) {
  at::set_num_threads(std::max(1, options.threads / 2));
  print_introduction(std::cout, corpus, plan);
  std::cout << "\nWhat the derived updates are, by parameter:\n"
            << make_stack(Transformer{plan.shape, plan.seed}, plan.shape, {})->plan() << '\n';
  const Race race = run_race(corpus, plan);
  print_table(std::cout, plan, race);
  write_loss_curves(options.output, race);
  std::cout << "written: " << (options.output / "loss-curves.svg").string()
            << " and the CSV files beside it\n";
  if (race.adamw.improved() && race.derived.improved()) return true;
  std::cerr << "language_model: a loss did not fall\n";
  return false;
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
    if (options.search) {
      search(corpus, plan, options);
      return EXIT_SUCCESS;
    }
    return demonstrate(corpus, plan, options) ? EXIT_SUCCESS : EXIT_FAILURE;
  } catch (const std::invalid_argument& error) {
    std::cerr << "language_model: " << error.what() << "\n\n" << Options::usage;
  } catch (const std::exception& error) {
    std::cerr << "language_model: " << error.what() << '\n';
  }
  return EXIT_FAILURE;
}
