// SPDX-License-Identifier: Apache-2.0

// Trains twins for every symmetry of the model, by AdamW, by the derived updates and with second moments, and
// prints how far the twins' losses are from each other, and which rules part them. A program of its own,
// since nothing else needs the rules in double and the checks.

#include <symopt/check/model.hpp>
#include <symopt/stack/layerwise_optimizer.hpp>

#include <torch/torch.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <functional>
#include <iomanip>
#include <iostream>
#include <mutex>
#include <ostream>
#include <span>
#include <sstream>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "../architecture.hpp"
#include "../corpus/corpus.hpp"
#include "../corpus/king_james.hpp"
#include "../corpus/tokenizer.hpp"
#include "../kinds.hpp"
#include "../model.hpp"
#include "../optimizers.hpp"
#include "../options.hpp"
#include "../parallel.hpp"
#include "../plans.hpp"
#include "../program.hpp"
#include "../status_line.hpp"
#include "../text.hpp"
#include "../training.hpp"
#include "symmetries.hpp"
#include "twin_model.hpp"
#include "twin_routing.hpp"

namespace language_model { namespace {

using namespace symopt::check;
using Parameters = std::vector<symopt::NamedTensor<double>>;
using Stack = symopt::BasicLayerwiseOptimizer<double>;

/// symopt's stack on a model in double.
Stack make_double_stack(const Parameters& parameters, const ModelShape& shape, const Kinds& kinds) {
  Stack stack(stack_options({}));
  stack.route(parameters, twin_routing_of(shape, kinds, {}));
  return stack;
}

/// The transformer on the batches of a plan.
TwinModel<> make_twin_model(
    const Corpus& corpus, const TrainingPlan& plan, std::function<void()> on_loss = [] {}) {
  BatchStream stream{corpus.training, static_cast<std::size_t>(plan.sequences),
                     static_cast<std::size_t>(plan.shape.context), plan.seed};
  std::vector<Batch> batches;
  for (std::int64_t step = 0; step <= plan.steps; ++step) batches.push_back(stream.next());
  return {Transformer{plan.shape, plan.seed}.ptr(), std::move(batches), plan.shape.vocabulary, Gains::fixed,
          std::move(on_loss)};
}

/// A way to train twins.
struct Trainer {
  std::string name;
  std::function<ModelOptimizer<double>(TwinModel<>& model, const ModelShape& shape)> optimizer;
  /// The groups of these parameters' rules.
  std::function<std::string(const Parameters& parameters, const ModelShape& shape,
                            const std::vector<ParameterGap>& gaps)>
      groups;
  /// Tests whether its rules have the groups that keep a symmetry.
  std::function<bool(KeptBy)> keeps;
};

Trainer adamw_trainer() {
  return {.name = "AdamW",
          .optimizer =
              [](TwinModel<>& model, const ModelShape&) {
                return ModelOptimizer<double>("AdamW", [&model] { return make_adamw(model.model(), {}); });
              },
          .groups = [](const auto&...) { return std::string("AdamW: B x B"); },
          .keeps = [](KeptBy) { return false; }};
}

Trainer stack_trainer(const std::string& name, const Kinds& kinds) {
  return {
      .name = name,
      .optimizer =
          [name, kinds](TwinModel<>&, const ModelShape& shape) {
            return ModelOptimizer<double>(name, [=](const Parameters& parameters) {
              return make_double_stack(parameters, shape, kinds);
            });
          },
      .groups =
          [kinds](const Parameters& parameters, const ModelShape& shape,
                  const std::vector<ParameterGap>& gaps) {
            const symopt::Plan plan = make_double_stack(parameters, shape, kinds).plan();
            std::vector<std::string> groups;
            for (const symopt::PlanRow& row : plan.rows())
              for (const ParameterGap& gap : gaps)
                if (row.name == gap.name && std::ranges::find(groups, row.group) == groups.end())
                  groups.push_back(row.group);
            std::string text;
            for (const std::string& group : groups) text += (text.empty() ? "" : ", ") + group;
            return text;
          },
      .keeps =
          [kinds](KeptBy by) { return by == KeptBy::classes || (by == KeptBy::pairs && kinds.has_pairs); }};
}

constexpr int label_width = 24;

/// The columns of the table: losses after so many steps.
std::array<std::int64_t, 3> columns_of(std::int64_t steps) {
  return {1, std::min<std::int64_t>(10, steps), steps};
}

void print_row(std::ostream& out, const std::string& label, const std::vector<std::string>& cells) {
  constexpr int width = 4;
  out << std::left << std::setw(label_width) << label << std::right;
  for (std::size_t cell = 0; cell < cells.size(); ++cell)
    out << std::setw(width + (cell % 3 == 0 && cell > 0 ? 2 : 0)) << cells[cell];
  out << '\n';
}

/// The power of ten of a number, so that twelve of them fit a line: -2 of 0.02. Zero is "=".
std::string power_text(double value) {
  return value == 0 ? "=" : std::to_string(static_cast<int>(std::floor(std::log10(value))));
}

/// One line for each symmetry.
void print_twins(std::ostream& out, const std::vector<Trainer>& trainers,
                 const std::vector<ModelReport>& reports, std::int64_t steps) {
  constexpr int width = 14;
  out << '\n' << std::string(label_width, ' ');
  for (std::size_t t = 0; t < trainers.size(); ++t)
    out << std::setw(t == 0 ? width - 2 : width) << trainers[t].name;
  out << '\n';
  std::vector<std::string> numbers;
  for (std::size_t trainer = 0; trainer < trainers.size(); ++trainer)
    for (const std::int64_t step : columns_of(steps)) numbers.push_back(std::to_string(step));
  print_row(out, "after so many steps", numbers);
  out << std::string(label_width + width * trainers.size() - 2, '-') << '\n';
  const auto row = [&](const std::string& label, const auto& figure) {
    std::vector<std::string> cells;
    for (const ModelReport& report : reports)
      for (const std::int64_t step : columns_of(steps))
        cells.push_back(figure(report, static_cast<std::size_t>(step)));
    print_row(out, label, cells);
  };
  for (std::size_t s = 0; s < reports.front().symmetries.size(); ++s)
    row(reports.front().symmetries[s].name, [s](const ModelReport& report, std::size_t step) {
      const std::vector<TwinReport>& trainings = report.symmetries[s].trainings;
      const bool is_there = !trainings.empty() && step < trainings.front().gaps.size();
      return is_there ? power_text(trainings.front().gaps[step]) : std::string("-");
    });
  row("rounding alone", [](const ModelReport& report, std::size_t step) {
    double most = 0;
    for (const SymmetryReport& symmetry : report.symmetries)
      if (!symmetry.trainings.empty() && step < symmetry.trainings.front().rounding.size())
        most = std::max(most, symmetry.trainings.front().rounding[step]);
    return power_text(most);
  });
}

/// How far the checks have come, as one line; by the calls of the loss, whose number is nearly known.
class TwinProgress {
 public:
  TwinProgress(std::size_t checks, std::size_t symmetries, std::int64_t steps)
      : expected_(static_cast<double>(checks) *
                  (14 + 20 * static_cast<double>(symmetries) +
                   static_cast<double>((3 + static_cast<std::int64_t>(symmetries)) * (steps + 1)))) {}

  /// Called from all threads.
  void count_call() {
    const std::lock_guard lock(mutex_);
    const double share = std::min(0.99, ++calls_ / expected_);
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start_;
    line_.update([&] {
      return fixed(100 * share, 0) + " %; " + minutes(elapsed.count() * (1 - share) / share) + " left";
    });
  }

 private:
  double expected_, calls_ = 0;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  StatusLine line_;
  std::mutex mutex_;
};

/// Says which rules part which twins, and what keeps them together.
/// @returns whether all is as claimed.
bool explain_twins(std::ostream& out, const std::vector<Trainer>& trainers,
                   const std::vector<ModelReport>& reports, const Corpus& corpus, const TrainingPlan& plan) {
  TwinModel<> model = make_twin_model(corpus, plan);
  const Parameters parameters = model.checked().parameters();
  const std::vector<TransformerSymmetry> known = symmetries_of(plan.shape, [](const auto&) {});
  bool is_as_claimed = true;
  for (std::size_t s = 0; s < known.size(); ++s) {
    std::string parted;
    for (std::size_t t = 0; t < trainers.size(); ++t) {
      const SymmetryReport& symmetry = reports[t].symmetries[s];
      if (symmetry.verdict == Verdict::holds) continue;
      if (symmetry.trainings.empty()) {  // no symmetry of the model
        is_as_claimed = false;
        parted += wrapped(symmetry.reason + "; " + symmetry.mend, "  ");
        continue;
      }
      const TwinReport& twins = symmetry.trainings.front();
      parted += wrapped(trainers[t].name + ": " + twins.reason + ". The groups of their rules: " +
                            trainers[t].groups(parameters, plan.shape, twins.left_first),
                        "  ");
      const bool do_losses_agree = twins.verdict == Verdict::violated && twins.losses_part == 0;
      if (trainers[t].keeps(known[s].kept_by) && !do_losses_agree) is_as_claimed = false;
    }
    if (!parted.empty())
      out << '\n' << wrapped(known[s].symmetry.name() + ", kept by " + known[s].mend + ":", "") << parted;
  }
  return is_as_claimed;
}

ModelReport check_twins(TwinModel<>& model, const Trainer& trainer, const TrainingPlan& plan) {
  std::vector<ModelSymmetry> symmetries;
  for (const TransformerSymmetry& known :
       symmetries_of(plan.shape, [&](const auto& images) { model.rename_tokens(images); }))
    symmetries.push_back(known.symmetry);
  return check_model(model.checked(), symmetries, {trainer.optimizer(model, plan.shape)},
                     {.seed = plan.seed, .steps = static_cast<int>(plan.steps)});
}

/// @returns whether all that has to stay together does: each symmetry is one of the model, and the derived
/// updates and the second moments keep those that the groups of the parameter classes have.
bool show_twins(std::ostream& out, const Corpus& corpus, const TrainingPlan& plan) {
  const std::vector<Trainer> trainers{adamw_trainer(), stack_trainer("derived", {}),
                                      stack_trainer("moments", second_moments),
                                      stack_trainer("pairs", gauge_pairs)};
  out << "Twins of the model with "
      << (plan.shape.is_dense() ? "one SwiGLU in each layer" : "experts behind routers") << ": " << plan.steps
      << " steps of " << grouped(plan.tokens_per_step())
      << " tokens.\nThe second training starts where a symmetry takes the start of the first.\n"
         "Difference of their losses after so many steps, as a power of ten: -2 for 0.01\n"
         "to 0.1, = for none at all:\n"
      << std::flush;

  std::vector<ModelReport> reports(trainers.size());
  {
    const std::size_t symmetries = symmetries_of(plan.shape, {}).size();
    TwinProgress progress(trainers.size(), symmetries, plan.steps);
    run_side_by_side(trainers.size(), trainers.size(), [&](std::size_t t) {
      TwinModel<> model = make_twin_model(corpus, plan, [&] { progress.count_call(); });
      reports[t] = check_twins(model, trainers[t], plan);
    });
  }
  print_twins(out, trainers, reports, plan.steps);
  return explain_twins(out, trainers, reports, corpus, plan);
}

bool run(const Options& options) {
  const std::vector<Architecture> architectures = architectures_of(options);
  if (is_of_the_paper(options)) throw std::invalid_argument("twins are those of dense and mixture");
  const Architecture& architecture = architectures.front();
  TrainingPlan plan = plan_for(architecture, options);
  plan.sequences = 1;
  if (options.steps == 0) plan.steps = options.quick ? 20 : 100;
  at::set_num_threads(1);  // the optimizers run side by side
  return show_twins(std::cout, make_corpus(tokenize(read_king_james()), architecture.shape.vocabulary), plan);
}

}}  // namespace language_model

int main(int count, char** arguments) {
  using namespace language_model;
  return run_program("language_model_twins", count, arguments, parse_options, run);
}
