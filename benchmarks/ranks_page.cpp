// SPDX-License-Identifier: Apache-2.0
// ranks_page FOLDER          writes the tables of FOLDER/distributed.md from what FOLDER/distributed.json
// says was
//                            measured, and draws FOLDER/distributed.svg
// ranks_page --check FOLDER  fails if the page says anything else
// The tables are between <!-- table NAME --> and <!-- end of table -->. So no figure of them is typed.
#include "page_tables.hpp"
#include "picture.hpp"
#include "rank_model.hpp"
#include "run_file.hpp"

#include <cstdio>
#include <exception>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <string>

namespace {

namespace fs = std::filesystem;

constexpr int most_ranks = 256;

std::string number(double value, int digits) {
  char text[32];
  std::snprintf(text, sizeof text, "%.*f", digits, value);
  return text;
}
/// Milliseconds of seconds, with three digits.
std::string ms(double seconds) {
  const double value = 1e3 * seconds;
  return number(value, value >= 100 ? 0 : value >= 10 ? 1 : 2);
}

std::string measured(const nlohmann::json& run) {
  const nlohmann::json &context = run.at("context"), &links = run.at("links"), &steps = run.at("steps");
  const auto us = [&](const char* what) { return number(1e6 * links.at(what).get<double>(), 2) + " µs"; };
  const auto rate = [&](const char* what) {
    return number(1e-9 * links.at(what).get<double>(), 2) + " GB/s";
  };
  const auto step = [&](const char* what) { return ms(steps.at(what).get<double>()) + " ms"; };
  std::ostringstream text;
  text << "On " << context.at("processor").get<std::string>() << ", " << context.at("cores") << " cores, "
       << context.at("date").get<std::string>() << ", with "
       << number(context.at("busy_programs").get<double>(), 1) << " busy programs at the end:\n\n"
       << "| between two processes of this machine | |\n|---|---|\n"
       << "| a message of 8 bytes, one way | " << us("latency_s") << " |\n"
       << "| 64 MiB, one way | " << rate("one_way_bytes_per_s") << " |\n"
       << "| messages of 256 KiB both ways at a time, each way | " << rate("exchange_bytes_per_s") << " |\n"
       << "| a broadcast of 8 bytes | " << us("broadcast_latency_s") << " |\n"
       << "| a broadcast of 64 MiB | " << rate("broadcast_bytes_per_s") << " |\n"
       << "| an agreement (`MPI_Iallreduce` of 40 bytes) | " << us("agreement_s") << " |\n"
       << "| `MPI_Iallreduce` of 64 MiB, which no step uses | " << rate("allreduce_bytes_per_s") << " |\n"
       << "| adding a number of a gradient | " << number(1e9 * links.at("sum_s_per_number").get<double>(), 2)
       << " ns |\n"
       << "| the step of the embedding, 151936 × 1024, on one thread | " << step("embedding_s") << " |\n"
       << "| of an attention head, 128 × 1024 | " << step("head_s") << " |\n"
       << "| of `gate_proj` or `up_proj`, 3072 × 1024 | " << step("gate_s") << " |\n"
       << "| of `down_proj`, 1024 × 3072 | " << step("down_s") << " |\n";
  return text.str();
}

std::string ratios(const nlohmann::json& run) {
  std::ostringstream text;
  text << "| split | gradients | one process, 2 threads, ms | 2 ranks, 1 thread each, ms | of that messages, "
          "ms "
          "| predicted, ms | as fast | from, to | goal |\n|---|---|---|---|---|---|---|---|---|\n";
  for (const nlohmann::json& row : run.at("ratios")) {
    const auto time = [&](const char* what) { return ms(row.at(what).get<double>()); };
    const auto ratio = [&](const char* what) { return number(row.at(what).get<double>(), 2); };
    const std::string split = row.at("split"), gradients = row.at("gradients");
    const RankCosts costs = RankCosts::of(run);
    const int layers = row.at("layers");
    const PredictedStep step =
        split == "rows" ? rank_model::rows(costs, 2, layers) : rank_model::owners(costs, 2, layers);
    text << "| " << split << " | " << gradients << " | " << time("one_process_s") << " | "
         << time("two_ranks_s") << " | " << time("messages_s") << " | "
         << ms(gradients == "as given" ? step.without_gradients() : step.total()) << " | " << ratio("ratio")
         << " | " << ratio("least_ratio") << ", " << ratio("most_ratio") << " | 0.85 |\n";
  }
  return text.str();
}

std::string bytes(const nlohmann::json& run) {
  std::ostringstream text;
  text << "| split | rank | | bytes counted | by the formula |\n|---|---|---|---|---|\n";
  for (const nlohmann::json& line : run.at("ratios")) {
    if (line.at("gradients") == "as given") continue;  // the first line's, without gradients
    for (const nlohmann::json& row : line.at("bytes"))
      text << "| " << line.at("split").get<std::string>() << " | " << row.at("rank") << " | "
           << row.at("way").get<std::string>() << " | " << number(row.at("counted").get<double>(), 0) << " | "
           << number(row.at("formula").get<double>(), 0) << " |\n";
  }
  return text.str();
}

std::string predictions(const RankCosts& costs) {
  std::ostringstream text;
  text << "| ranks | owners: a step, ms | gradients | update | weights | rows: a step, ms | update | "
          "messages | "
          "`MPI_Allreduce`, then all on every rank, ms |\n|---|---|---|---|---|---|---|---|---|\n";
  for (int ranks = 1; ranks <= most_ranks; ranks *= 2) {
    const PredictedStep owners = rank_model::owners(costs, ranks), rows = rank_model::rows(costs, ranks);
    text << "| " << ranks << " | " << ms(owners.total()) << " | " << ms(owners.gradients) << " | "
         << ms(owners.update) << " | " << ms(owners.weights) << " | " << ms(rows.total()) << " | "
         << ms(rows.update) << " | " << ms(rows.messages()) << " | "
         << ms(rank_model::everything(costs, ranks).total()) << " |\n";
  }
  return text.str();
}

/// "N ranks, T ms" of the shortest step, of all numbers of ranks up to 256.
std::string shortest(const auto& seconds) {
  int found = 1;
  for (int ranks = 2; ranks <= most_ranks; ++ranks)
    if (seconds(ranks) < seconds(found)) found = ranks;
  return std::to_string(found) + (found == 1 ? " rank, " : " ranks, ") + ms(seconds(found)) + " ms";
}

std::string ends(const RankCosts& costs) {
  std::ostringstream text;
  text << "The shortest step, of all numbers of ranks up to " << most_ranks << ":\n\n- owners: with "
       << shortest([&](int ranks) { return rank_model::owners(costs, ranks).total(); })
       << "\n- owners of gradients that the trainer has averaged: with "
       << shortest([&](int ranks) { return rank_model::owners(costs, ranks).without_gradients(); })
       << "\n- rows: with " << shortest([&](int ranks) { return rank_model::rows(costs, ranks).total(); })
       << "\n";
  return text.str();
}

std::string table(const std::string& name, const nlohmann::json& run) {
  if (name == "measured") return measured(run);
  if (name == "ratios") return ratios(run);
  if (name == "bytes") return bytes(run);
  if (name == "predictions") return predictions(RankCosts::of(run));
  if (name == "ends") return ends(RankCosts::of(run));
  throw std::runtime_error("there is no table '" + name + "'");
}

void draw_predictions(const fs::path& folder, const RankCosts& costs) {
  std::ostringstream data;
  const double alone = rank_model::owners(costs, 1).total();
  const auto add = [&](const PredictedStep& step) {
    const double messages = step.messages();
    data << ' ' << step.total() / alone << ' ' << step.without_gradients() / alone << ' '
         << step.update / alone << ' ' << (messages > 0 ? std::to_string(messages / alone) : "NaN");
  };
  data << "$steps << end\n";
  for (int ranks = 1; ranks <= most_ranks; ++ranks) {
    data << ranks;
    add(rank_model::owners(costs, ranks));
    add(rank_model::rows(costs, ranks));
    data << '\n';
  }
  const auto line = [](int column, const std::string& look, const std::string& title) {
    return "$steps using 1:" + std::to_string(column) + " with lines " + look + " title \"" + title + "\", ";
  };
  const std::string step = "linewidth 2.5 linecolor rgb blue", update = "linewidth 1.5 linecolor rgb green",
                    messages = "linewidth 1.5 linecolor rgb orange",
                    ideal = "1 / x with lines dashtype 2 linecolor rgb grey title \"1 / ranks\"\n";
  draw(folder, "distributed", "860,420",
       data.str() + R"(end
set multiplot layout 1,2
set logscale xy
set xrange [1:256]
set yrange [0.001:100]
set format y "%g"
set xtics (1,2,4,8,16,32,64,128,256)
set xlabel "ranks"
set key bottom left Left reverse samplen 2
set ylabel "time, over a step of one rank"
set title "owners"
plot )" + line(2, step, "step") +
           line(3, "linewidth 2.5 dashtype 3 linecolor rgb blue", "without gradients") +
           line(4, update, "update") + line(5, messages, "messages and sums") + ideal + R"(set title "rows"
unset ylabel
unset key
plot )" + line(6, step, "") +
           line(8, update, "") + line(9, messages, "") + ideal + "unset multiplot\n");
}

}  // namespace

int main(int argc, char** argv) {
  const bool is_check = argc == 3 && std::string(argv[1]) == "--check";
  if (!is_check && (argc != 2 || argv[1][0] == '-')) {
    std::fprintf(stderr, "usage: ranks_page [--check] FOLDER\n");
    return 2;
  }
  try {
    const fs::path folder = fs::absolute(is_check ? argv[2] : argv[1]), page = folder / "distributed.md";
    const nlohmann::json run = read_run((folder / "distributed.json").string());
    const std::string before = read_page(page);
    const std::string after = with_tables(before, [&](const std::string& name) { return table(name, run); });
    if (is_check && before != after) throw std::runtime_error(page.string() + " is not what its run says");
    if (!is_check) {
      std::ofstream(page) << after;
      draw_predictions(folder, RankCosts::of(run));
    }
  } catch (const std::exception& error) {
    std::fprintf(stderr, "ranks_page: %s\n", error.what());
    return 1;
  }
}
