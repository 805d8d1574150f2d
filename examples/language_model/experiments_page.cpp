// SPDX-License-Identifier: Apache-2.0
// experiments_page TABLE.csv FOLDER PAGE ...          writes the tables of FOLDER/experiments.md and of other
// pages from
//                                                     the trainings of a search, and draws
//                                                     FOLDER/experiments.svg
// experiments_page --check TABLE.csv FOLDER PAGE ...  fails if a page says anything else
// A table stands between <!-- table NAME --> and <!-- end of table -->. So no figure of it is typed.
#include <benchmarks/page_tables.hpp>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "experiment_curves.hpp"
#include "experiment_tables.hpp"
#include "search_summary.hpp"
#include "search_table.hpp"

namespace {

namespace fs = std::filesystem;
using namespace language_model;

const std::vector<std::string> order{"dense", "mixture", "qwen3", "gemma3", "olmoe", "gpt-oss"};

/// AdamW's own rate, at which the parts of the columns are told apart.
constexpr double adamw_rate = 1.5e-3;

/// What the searches are to show: first what the paper claims, then what its principle says.
const std::vector<page::Comparison> against_adamw{{"paper", "AdamW"},
                                                  {"derived", "AdamW"},
                                                  {"second moments", "AdamW"},
                                                  {"AdamW for embedding and head", "AdamW"},
                                                  {"second moments", "AdamW for embedding and head"}};
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

const ArchitectureSummary& summary_of(const std::vector<ArchitectureSummary>& all, const std::string& name) {
  for (const ArchitectureSummary& summary : all)
    if (summary.architecture == name) return summary;
  throw std::runtime_error("no training of " + name);
}

/// The table of that name: "overview", "best qwen3", "rates qwen3", ...
std::string table(const std::string& name, const std::vector<ArchitectureSummary>& all) {
  if (name == "overview")
    return page::overview(all,
                          {"AdamW", "paper", "derived", "second moments", "AdamW for embedding and head"});
  if (name == "controls overview")
    return page::overview(all, {"derived", "wrong side", "centred embedding", "one scale for experts"});
  if (name == "routers") return page::routers(all);
  if (name == "valleys") return page::valleys(all);
  if (name == "against AdamW") return page::comparisons(all, against_adamw);
  if (name == "controls") return page::comparisons(all, controls);
  const std::size_t blank = name.find(' ');
  const std::string kind = name.substr(0, blank);
  if (blank != std::string::npos) {
    const ArchitectureSummary& summary = summary_of(all, name.substr(blank + 1));
    if (kind == "best") return page::best(summary);
    if (kind == "rates") return page::rates(summary);
    if (kind == "parts") return page::at_one_rate(summary, adamw_rate);
  }
  throw std::runtime_error("there is no table '" + name + "'");
}

void draw(const fs::path& picture, const std::string& script) {
  const fs::path commands = fs::temp_directory_path() / "experiments.gnuplot";
  std::ofstream(commands) << script;
  ::setenv("SYMOPT_PICTURE", commands.c_str(), 1);  // so that no character of the path needs quoting
  if (std::system("gnuplot \"$SYMOPT_PICTURE\"") != 0)
    throw std::runtime_error("gnuplot could not draw " + picture.string() + "; its package is gnuplot-nox");
}

void write(bool is_check, const fs::path& path, const std::vector<ArchitectureSummary>& all) {
  const std::string before = read_page(path),
                    after = with_tables(before, [&](const std::string&name) { return table(name, all); });
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
    std::fprintf(stderr, "usage: experiments_page [--check] TABLE.csv FOLDER [PAGE ...]\n");
    return 2;
  }
  try {
    const std::vector<ArchitectureSummary> all = read_searches(words[0]);
    const fs::path folder = words[1];
    write(is_check, folder / "experiments.md", all);
    for (std::size_t i = 2; i < words.size(); ++i) write(is_check, words[i], all);
    if (is_check) return 0;
    const fs::path picture = folder / "experiments.svg";
    if (const std::string script = page::curves_script(all, picture.string()); !script.empty())
      draw(picture, script);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "experiments_page: %s\n", error.what());
    return 1;
  }
}
