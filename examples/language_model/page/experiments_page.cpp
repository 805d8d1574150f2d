// SPDX-License-Identifier: Apache-2.0
// experiments_page [--check] TABLES FOLDER [PAGE ...]
// Writes the tables of FOLDER/experiments.md and of other pages from TABLES/search.csv and TABLES/pilots.csv,
// and draws FOLDER/experiments.svg. With --check it fails if a page says anything else. A table stands
// between
// <!-- table NAME --> and <!-- end of table -->. So no figure of it is typed.
#include <benchmarks/page_tables.hpp>
#include <benchmarks/picture.hpp>

#include <algorithm>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <vector>

#include "../search/search_summary.hpp"
#include "../search/search_table.hpp"
#include "experiment_curves.hpp"
#include "experiment_tables.hpp"
#include "pilot_table.hpp"
#include "width_table.hpp"

namespace {

namespace fs = std::filesystem;
using namespace language_model;

const std::vector<std::string> order{"dense", "mixture", "qwen3", "gemma3", "olmoe", "gpt-oss"};

/// AdamW's own rate, at which the parts of the columns are told apart.
constexpr double adamw_rate = 1.5e-3;

/// Comparisons of rules: first for what the paper claims, then for what its principle says.
const std::vector<page::Comparison> against_adamw{{"paper", "AdamW"},
                                                  {"derived", "AdamW"},
                                                  {"second moments", "AdamW"},
                                                  {"AdamW for embedding and head", "AdamW"},
                                                  {"second moments", "AdamW for embedding and head"},
                                                  {"AdamW for embedding and head", "derived"},
                                                  {"paper", "derived"},
                                                  {"attention too", "second moments"},
                                                  {"second moments", "AdamW; warm-up and cosine"}};
const std::vector<page::Comparison> controls{{"wrong side", "derived"},
                                             {"centred embedding", "derived"},
                                             {"one scale for experts", "derived"},
                                             {"wrong side", "AdamW"}};

std::vector<ArchitectureSummary> read_searches(const fs::path& table) {
  std::ifstream file(table);
  if (!file) throw std::runtime_error("cannot read " + table.string());
  std::vector<ArchitectureSummary> all = summaries_of(SearchTable(file).trainings());
  std::ranges::stable_sort(all, {}, [](const ArchitectureSummary& summary) {
    return std::ranges::find(order, summary.architecture) - order.begin();
  });
  return all;
}

/// The sources of the pages.
struct Trainings {
  std::vector<ArchitectureSummary> searches;    ///< in the order of the tables
  std::vector<ArchitectureSummary> with_wider;  ///< these, and an architecture at other widths after them
  fs::path pilots;
};

/// A table of one architecture, or where it has not been trained how to do that.
std::string table_of(const std::string& kind, const std::string& architecture,
                     const std::vector<ArchitectureSummary>& all) {
  const auto summary = std::ranges::find(all, architecture, &ArchitectureSummary::architecture);
  if (summary == all.end())
    return "Not searched yet: `./run demo --architecture " + architecture + " --search`.\n";
  if (kind == "best") return page::best(*summary);
  if (kind == "rates") return page::rates(*summary);
  return page::at_one_rate(*summary, adamw_rate, "AdamW");
}

/// The table of that name: "overview", "best qwen3", "rates qwen3", "pilots router", ...
std::string table(const std::string& name, const Trainings& trainings) {
  const std::vector<ArchitectureSummary>& all = trainings.searches;
  if (name == "widths") return page::widths(trainings.with_wider, "qwen3");
  if (name == "overview")
    return page::overview(all,
                          {"AdamW", "paper", "derived", "second moments", "AdamW for embedding and head"});
  if (name == "AdamW and second moments")
    return page::side_by_side(all, {"AdamW", "second moments", "AdamW for embedding and head"},
                              {"mixture", "qwen3"});
  if (name == "routers") return page::routers(all);
  if (name == "valleys") return page::valleys(all);
  if (name == "rises") return page::rises(all);
  if (name == "against AdamW") return page::comparisons(all, against_adamw);
  if (name == "controls") return page::comparisons(all, controls);
  const std::size_t blank = std::min(name.find(' '), name.size());
  const std::string kind = name.substr(0, blank), of = name.substr(std::min(blank + 1, name.size()));
  if (kind == "pilots") {
    std::ifstream file(trainings.pilots);
    return page::pilots(file, of);
  }
  if ((kind == "best" || kind == "rates" || kind == "parts") && std::ranges::find(order, of) != order.end())
    return table_of(kind, of, all);
  throw std::runtime_error("there is no table '" + name + "'");
}

void write(bool is_check, const fs::path& path, const Trainings& trainings) {
  const std::string before = read_page(path);
  const auto named = [&](const std::string& name) { return table(name, trainings); };
  const std::string after = with_tables(before, named);
  if (is_check && before != after)
    throw std::runtime_error(path.string() + " is not what the trainings say; ./run demo --page writes it");
  if (!is_check) std::ofstream(path) << after;
}

}  // namespace

int main(int count, char** arguments) {
  std::vector<std::string> words(arguments + 1, arguments + count);
  const bool is_check = !words.empty() && words.front() == "--check";
  if (is_check) words.erase(words.begin());
  if (words.size() < 2 || words.front().starts_with("-")) {
    std::fprintf(stderr, "usage: experiments_page [--check] TABLES FOLDER [PAGE ...]\n");
    return 2;
  }
  try {
    const fs::path tables = words[0], folder = words[1];
    Trainings trainings{
        .searches = {}, .with_wider = read_searches(tables / "search.csv"), .pilots = tables / "pilots.csv"};
    std::ranges::copy_if(
        trainings.with_wider, std::back_inserter(trainings.searches),
        [](const auto& summary) { return std::ranges::find(order, summary.architecture) != order.end(); });
    write(is_check, folder / "experiments.md", trainings);
    for (std::size_t i = 2; i < words.size(); ++i) write(is_check, words[i], trainings);
    if (is_check) return 0;
    if (const page::Curves curves = page::curves_of(trainings.searches); !curves.commands.empty())
      draw(folder, "experiments", curves.size, curves.commands);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "experiments_page: %s\n", error.what());
    return 1;
  }
}
