// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <charconv>
#include <cstdint>
#include <filesystem>
#include <ostream>
#include <sstream>
#include <stdexcept>
#include <string>
#include <system_error>
#include <vector>

#include "architecture.hpp"
#include "corpus.hpp"
#include "options.hpp"
#include "planned_trainings.hpp"
#include "plans.hpp"
#include "search.hpp"
#include "text.hpp"

namespace language_model {

/// One training of a search by what the line of its table begins with.
struct NamedTraining {
  std::string side;
  double rate = 0;
  std::string architecture;  ///< "qwen3"
  std::int64_t width = 1;    ///< 2 for "qwen3 x2"
  std::int64_t steps = 0;
  std::uint64_t seed = 0;
};

/// Of "paper,0.003,qwen3,700,2". @throws std::invalid_argument for another text.
inline NamedTraining named_training(const std::string& text) {
  std::vector<std::string> entries;
  std::istringstream line(text);
  for (std::string entry; std::getline(line, entry, ',');) entries.push_back(entry);
  const auto read = [&](const std::string& entry, auto& value) {
    const auto [end, error] = std::from_chars(entry.data(), entry.data() + entry.size(), value);
    return error == std::errc{} && end == entry.data() + entry.size() && value > 0;
  };
  NamedTraining named;
  if (entries.size() != 5 || !read(entries[1], named.rate) || !read(entries[3], named.steps) ||
      !read(entries[4], named.seed))
    throw std::invalid_argument(
        "--repeat needs rule, rate, architecture, steps and seed, as in 'paper,0.003,qwen3,700,2', not '" +
        text + "'");
  named.side = entries[0];
  named.architecture = entries[2];
  if (const std::size_t mark = entries[2].find(" x");
      mark != std::string::npos && read(entries[2].substr(mark + 2), named.width))
    named.architecture.resize(mark);
  return named;
}

/// The options of the one architecture that it names.
inline Options options_of(const NamedTraining& named, Options options) {
  options.architecture = named.architecture;
  options.width = named.width;
  options.steps = named.steps;
  options.seed = named.seed;
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
