// SPDX-License-Identifier: Apache-2.0

// Trains one transformer three times on the same text: with AdamW, with symopt's updates for each class of
// its parameters, and with the second moments that the groups of embedding, head and routers derive. Searches
// the rates of more rules, and prints the tables of such searches.

#include <torch/torch.h>

#include <algorithm>
#include <filesystem>
#include <iostream>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "architecture.hpp"
#include "corpus/corpus.hpp"
#include "corpus/king_james.hpp"
#include "corpus/tokenizer.hpp"
#include "loss_curves.hpp"
#include "options.hpp"
#include "plans.hpp"
#include "program.hpp"
#include "race.hpp"
#include "ranks.hpp"
#include "report.hpp"
#include "search/kept_table.hpp"
#include "search/repeat.hpp"
#include "search/search.hpp"
#include "sides.hpp"
#include "training.hpp"

namespace {

using namespace language_model;

void search(const Corpus& corpus, const std::vector<Architecture>& architectures, const Options& options) {
  at::set_num_threads(1);  // a core for each training
  const std::filesystem::path table = table_of(options);
  for (const Architecture& architecture : architectures) {
    const TrainingPlan plan = plan_for(architecture, options);
    const Search of_one(corpus, plan, architecture, static_cast<std::size_t>(options.threads), table);
    if (options.search) of_one.run(rate_lines(architecture));
    if (architecture.has_parts) of_one.run(part_lines(plan.shape));
  }
  print_report_of(std::cout, table);
  std::cout << "written: " << table.string() << "; without it a search begins anew\n";
}

/// The plan of the last column.
void print_last_plan(const Architecture& architecture, const TrainingPlan& plan, const Options& options) {
  const std::vector<Family> family = families_of(options.architecture);
  const std::shared_ptr<LanguageModel> model = architecture.make(plan.shape, plan.seed);
  const Kinds& kinds = options.attention ? moments_of_attention_too : second_moments;
  std::cout << "\nThe last column, " << architecture.columns.back().name << ", by parameter:\n"
            << plan_of(family.empty() ? *make_stack(*model, plan.shape, kinds, architecture.settings)
                                      : *make_stack(*model, family.front(), plan.shape, Rule::moments,
                                                    architecture.settings))
            << '\n';
}

/// @returns whether all losses fell.
bool demonstrate(const Corpus& corpus, const Architecture& architecture, const Options& options) {
  const TrainingPlan plan = plan_for(architecture, options);
  const std::vector<Side>& sides = architecture.columns;
  at::set_num_threads(std::max(1, options.threads / static_cast<int>(sides.size())));
  print_introduction(std::cout, corpus, plan, architecture.name, sides.size());
  print_last_plan(architecture, plan, options);
  std::vector<Entrant> entrants;
  for (const Side& side : sides)
    entrants.push_back({.name = side.name, .train = [&](const StepObserver& observe) {
                          return train(corpus, plan, architecture.make,
                                       side.with(plan.shape, architecture.settings), observe);
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

/// Does what the options ask for. @returns whether all losses fell
bool run(const Options& given) {
  if (given.twins)
    throw std::invalid_argument(
        "--twins is another program, language_model_twins, which ./run demo --twins builds and starts");
  const bool is_repeat = !given.repeat.empty();
  const Options options = is_repeat ? options_of(named_training(given.repeat), given) : given;
  const std::vector<Architecture> architectures = architectures_of(options);
  if (options.report) {
    print_report_of(std::cout, table_of(options));
    return true;
  }
  if (is_of_the_paper(options) && (options.parts || options.attention || options.ranks > 0))
    throw std::invalid_argument("--parts, --attention and --ranks are for dense and mixture");
  std::filesystem::create_directories(options.output);
  const Architecture& architecture = architectures.front();
  const Corpus corpus = make_corpus(tokenize(read_king_james()), architecture.shape.vocabulary);
  if (is_repeat) {
    at::set_num_threads(1);  // as in a search
    repeat(std::cout, named_training(options.repeat), corpus, architecture, options, table_of(options));
    return true;
  }
  if (options.ranks > 0) return show_ranks(corpus, plan_for(architecture, options), options);
  if (options.search || options.parts) {
    search(corpus, architectures, options);
    return true;
  }
  return demonstrate(corpus, architecture, options);
}

}  // namespace

int main(int count, char** arguments) {
  return run_program("language_model", count, arguments, parse_options, run);
}
