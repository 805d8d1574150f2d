// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <ostream>
#include <stdexcept>
#include <string>

#include "../architecture.hpp"
#include "../corpus/corpus.hpp"
#include "../options.hpp"
#include "../plans.hpp"
#include "../text.hpp"
#include "named_training.hpp"
#include "planned_trainings.hpp"
#include "search.hpp"

namespace language_model {

/// The options of the one architecture that it names.
inline Options options_of(const NamedTraining& named, Options options) {
  options.architecture = named.architecture;
  options.width = named.width;
  options.steps = named.steps;
  options.seed = named.seed;
  options.quick = false;
  return options;
}

/// Trains once more, and prints the loss beside that of the table.
/// @throws std::invalid_argument for a rule that the architecture's search does not have.
inline void repeat(std::ostream& out, const NamedTraining& named, const Corpus& corpus,
                   const Architecture& architecture, const Options& options,
                   const std::filesystem::path& table) {
  const TrainingPlan plan = plan_for(architecture, options);
  std::string known;
  for (const SearchLine& line : all_lines(architecture, plan.shape)) {
    known += (known.empty() ? "" : ", ") + line.side.name;
    if (line.side.name != named.side) continue;
    const Search search(corpus, plan, architecture, 1, table);
    const PlannedTraining training = search.training(line, named.rate, 0);
    const TrainingResult result = training.train([](std::int64_t, double) {});
    out << training.description << '\n' << "validation loss " << fixed(result.end.loss, 5);
    if (const auto loss = FinishedTrainings(table).find(training.description))
      out << "; in " << table.string() << ' ' << fixed(*loss, 5);
    out << '\n';
    return;
  }
  throw std::invalid_argument("--repeat: the rules for " + architecture.name + " are " + known + ", not '" +
                              named.side + "'");
}

}  // namespace language_model
