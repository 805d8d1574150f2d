// SPDX-License-Identifier: Apache-2.0

// Trains a language model on the Old Testament and fine-tunes it on the New one by LoRA: with AdamW, with
// Muon on each block, and with the update that the gauge of LoRA's pairs derives; from LoRA's own start, and
// from the same model with its pairs written in another way.

#include <torch/torch.h>

#include <language_model/loss_curves.hpp>
#include <language_model/program.hpp>
#include <language_model/race.hpp>
#include <language_model/status_line.hpp>
#include <language_model/text.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <iostream>
#include <sstream>
#include <stdexcept>
#include <vector>

#include "fine_tuning.hpp"
#include "options.hpp"
#include "picture.hpp"
#include "quick.hpp"
#include "report.hpp"
#include "search.hpp"

namespace {

using namespace lora;

TrainingPlan base_plan(const Options& options) {
  TrainingPlan plan;
  plan.shape.experts = 0;  // matrices only
  plan.shape.neurons *= 2;
  plan.steps = options.base_steps;
  if (options.quick) {
    plan.shape = {.width = 32, .layers = 1, .heads = 2, .experts = 0, .neurons = 48, .context = 32};
    plan.sequences = 8;
    plan.steps = 60;
  }
  return plan;
}

TrainingPlan fine_tuning_plan(const Options& options) {
  TrainingPlan plan = base_plan(options);
  plan.sequences = 8;
  plan.steps = options.quick ? 30 : options.steps;
  plan.seed = options.seed;
  return plan;
}

Transformer base_model(const Corpus& corpus, const TrainingPlan& plan, const Options& options) {
  at::set_num_threads(options.threads);
  language_model::StatusLine line;
  return saved_base(corpus, plan, options.output, [&](std::int64_t steps_done, double loss) {
    line.update([&] {
      std::ostringstream text;
      text << "base model: step " << steps_done << '/' << plan.steps << ", loss "
           << language_model::fixed(loss, 3);
      return text.str();
    });
  });
}

/// @returns whether all losses fell from LoRA's own start, and LoraPair's from the other one.
bool demonstrate(Transformer& base, const Corpus& corpus, const TrainingPlan& plan, const Options& options) {
  at::set_num_threads(std::max(1, options.threads / static_cast<int>(methods().size())));
  const auto race = [&](const Start& start, double Method::*rate) {
    std::vector<language_model::Entrant> entrants;
    for (const Method& method : methods())
      entrants.push_back({.name = method.name, .train = [&, method](const StepObserver& observe) {
                            return fine_tune(base, corpus, plan, method, method.*rate, start, observe);
                          }});
    std::cout << start.name << ":\n";
    return language_model::run_race(entrants, plan.steps, options.threads);
  };
  const Race usual = race(usual_start(), &Method::rate);
  const Race badly_scaled = race(badly_scaled_start(), &Method::rate);
  const Race again = race(badly_scaled_start(), &Method::rate_badly_scaled);
  print_table(std::cout, methods(), usual, badly_scaled, again);

  const auto write = [&](const char* name, const Race& runners) {
    std::filesystem::create_directories(options.output / name);
    language_model::write_loss_tables(options.output / name, runners);
  };
  write("usual", usual);
  write("badly-scaled", badly_scaled);
  language_model::draw(options.output, "lora", lora::gnuplot_script(usual));
  std::cout << "written: " << (options.output / "lora.svg").string() << " and the tables beside it\n";

  const auto improved = [](const language_model::Runner& runner) { return runner.result.improved(); };
  if (std::ranges::all_of(usual, improved) && improved(badly_scaled.back())) return true;
  std::cerr << "lora: a loss did not fall\n";
  return false;
}

/// Trains what the table does not have yet, and prints all of it.
/// @returns whether the rates of the program are the best ones.
bool search(Transformer& base, const Corpus& corpus, const TrainingPlan& plan, const Options& options) {
  at::set_num_threads(1);  // a core for each training
  const std::filesystem::path table = options.output / "search.csv";
  const Searcher searcher(
      [&](const TrainingPlan& seeded, const Method& method, double rate, const Start& start,
          const StepObserver& observe) {
        return fine_tune(base, corpus, seeded, method, rate, start, observe);
      },
      plan, options.base_steps, static_cast<std::size_t>(options.threads), table);
  const bool is_as_found = print_search(std::cout, searcher);
  std::cout << "written: " << table.string() << "; without it a search begins anew\n";
  return is_as_found;
}

/// Prints the table of a search that was run before. @returns whether the rates of the program are its best.
bool show_search(const TrainingPlan& plan, const Options& options) {
  const std::filesystem::path table = options.output / "search.csv";
  const Searcher searcher(
      [&](const TrainingPlan&, const Method& method, double rate, const Start& start,
          const StepObserver&) -> TrainingResult {
        std::ostringstream text;
        text << table.string() << " does not have " << method.name << " at " << rate << ", " << start.name
             << "; finish the search with --search";
        throw std::runtime_error(text.str());
      },
      plan, options.base_steps, 1, table);
  return print_search(std::cout, searcher);
}

bool run(const Options& options) {
  const TrainingPlan of_base = base_plan(options), plan = fine_tuning_plan(options);
  if (options.show_search) return show_search(plan, options);
  std::filesystem::create_directories(options.output);
  if (options.quick) {
    at::set_num_threads(1);
    return pass_quick_checks(of_base, plan);
  }
  const Testaments texts = read_testaments(plan.shape.vocabulary);
  print_introduction(std::cout, texts, of_base, plan);
  Transformer base = base_model(texts.old_testament, of_base, options);
  return (options.search ? search : demonstrate)(base, texts.new_testament, plan, options);
}

}  // namespace

int main(int count, char** arguments) {
  return language_model::run_program("lora", count, arguments, parse_options, run);
}
