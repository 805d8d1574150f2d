// SPDX-License-Identifier: Apache-2.0
// The rates that a search of the language model tries, and the tables that it makes of its file of trainings.
#include <language_model/page/experiment_curves.hpp>
#include <language_model/page/experiment_tables.hpp>
#include <language_model/page/pilot_table.hpp>
#include <language_model/page/width_table.hpp>
#include <language_model/search/kept_table.hpp>
#include <language_model/search/named_training.hpp>
#include <language_model/search/rate_grid.hpp>
#include <language_model/search/search_report.hpp>

#include <doctest/doctest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <map>
#include <set>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

namespace search_report_test { namespace {

using namespace language_model;

const std::string head =
    "side,rate,architecture,steps,seed,validation_loss,training_loss,diverged,state_bytes,step_ms,update_ms,"
    "load_entropy,dead_share\n";

/// AdamW at three rates, the last of which diverges once; another rule, which is lower by 0.1, 0.2 and 0.3.
const std::string table = head +
                          "AdamW,0.001,olmoe,100,1,3.6,3.5,0,2000000,50,5,0.9,0\n"
                          "AdamW,0.001,olmoe,100,2,3.6,3.5,0,2000000,50,5,0.9,0\n"
                          "AdamW,0.001,olmoe,100,3,3.6,3.5,0,2000000,50,5,0.9,0\n"
                          "AdamW,0.002,olmoe,100,1,3.5,3.4,0,2000000,50,4,0.8,0.25\n"
                          "AdamW,0.002,olmoe,100,2,3.4,3.4,0,2000000,60,5,0.9,0\n"
                          "AdamW,0.002,olmoe,100,3,3.3,3.4,0,2000000,70,6,1,0.05\n"
                          "AdamW,0.004,olmoe,100,1,3.1,3.0,0,2000000,50,5,0.9,0\n"
                          "AdamW,0.004,olmoe,100,2,nan,nan,1,2000000,50,5,0.9,0\n"
                          "AdamW,0.004,olmoe,100,3,3.1,3.0,0,2000000,50,5,0.9,0\n"
                          "rule,0.002,olmoe,100,3,3.0,2.9,0,1000000,40,2,0.7,0\n"
                          "rule,0.002,olmoe,100,2,3.2,2.9,0,1000000,40,2,0.7,0\n"
                          "rule,0.002,olmoe,100,1,3.4,2.9,0,1000000,40,2,0.7,0\n"
                          "rule,0.001,qwen3,100,1,4.4,4.3,0,1000,9,1,0,0\n"
                          "AdamW,0.001,qwen3,100,1,4.5,4.4,0,1000,9,1,0,0\n";

std::vector<SearchedTraining> read(const std::string& text) {
  std::istringstream file(text);
  return SearchTable(file).trainings();
}

TEST_CASE("a table is read by the names of its columns") {
  const std::vector<SearchedTraining> trainings = read(table);
  REQUIRE(trainings.size() == 14);
  CHECK(trainings[3].side == "AdamW");
  CHECK(trainings[3].architecture == "olmoe");
  CHECK(trainings[3].rate == 0.002);
  CHECK(trainings[3].steps == 100);
  CHECK(trainings[5].seed == 3);
  CHECK(trainings[5].step_ms == 70);
  CHECK(trainings[7].has_diverged());
  CHECK(!trainings[6].has_diverged());

  const auto earlier =
      read("side,rate,architecture,steps,seed,validation_loss,training_loss\nA,0.1,dense,7,1,3,2\n");
  REQUIRE(earlier.size() == 1);
  CHECK(earlier[0].validation_loss == 3);
  CHECK(std::isnan(earlier[0].step_ms));
  CHECK(read("").empty());

  const auto partial = read(
      "side,rate,architecture,steps,seed,validation_loss,training_loss,step_ms,curve\n"
      "A,0.1,dense,7,1,3,2,9,7 5.5 4\nB,0.1,dense,7,1,3,,,\n");
  REQUIRE(partial.size() == 2);
  CHECK(partial[0].curve == std::vector<double>{7, 5.5, 4});
  CHECK(std::isnan(partial[1].step_ms));
  CHECK(partial[1].curve.empty());
}

TEST_CASE("a table that is none says where") {
  const auto message = [](const std::string& text) {
    try {
      read(text);
    } catch (const std::runtime_error& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  CHECK(message(head + "AdamW,0.1\n") ==
        "line 2 of the table of trainings has 2 entries, and the table 13 columns");
  CHECK(message("side,rate\nAdamW,0.1\n").find("has no column architecture") != std::string::npos);
  CHECK(message(head + "A,0.1,olmoe,100,1,3,3,0,1,1,1,1,1\nA,0.2,olmoe,100,1,3,3,0,1,1,1,1,1\n"
                       "A,0.10,olmoe,100,1,4,3,0,1,1,1,1,1\n") ==
        "line 4 of the table of trainings is the training of line 2, too");
  CHECK(message(head + "A,nan,olmoe,100,1,3,3,0,1,1,1,1,1\n").find("'nan' for rate") != std::string::npos);
  CHECK(message(head + "A,1,olmoe,100,1.5,3,3,0,1,1,1,1,1\n").find("'1.5' for seed") != std::string::npos);
  CHECK(message(head + "A,fast,olmoe,100,1,3,3,0,1,1,1,1,1\n").find("'fast' for rate") != std::string::npos);
}

TEST_CASE("the best rate is the lowest mean of those at which no training diverged") {
  const std::vector<ArchitectureSummary> all = summaries_of(read(table));
  REQUIRE(all.size() == 2);
  const auto& [name, adamw] = all[0].sides[0];
  CHECK(name == "AdamW");
  CHECK(adamw.best_rate() == 0.002);  // 0.004 has lower losses, and one that is none
  CHECK(adamw.is_interior());
  CHECK(adamw.share_diverged(0.004) == doctest::Approx(1 / 3.0));
  CHECK(adamw.count() == 9);
  CHECK(!all[0].sides[1].second.is_interior());
  CHECK(all[1].architecture == "qwen3");
  CHECK(all[1].sides[0].first == "AdamW");  // whichever training ended first
}

TEST_CASE("differences are of one seed, and their interval is Student's") {
  const ArchitectureSummary olmoe = summaries_of(read(table)).front();
  const std::vector<double> differences =
      paired_differences(olmoe.sides[1].second, olmoe.sides[0].second);  // 3.0 of seed 3 comes first
  REQUIRE(differences.size() == 3);
  CHECK(differences[0] == doctest::Approx(-0.3));
  CHECK(differences[1] == doctest::Approx(-0.2));
  CHECK(differences[2] == doctest::Approx(-0.1));
  CHECK(mean(differences) == doctest::Approx(-0.2));
  CHECK(spread(differences) == doctest::Approx(0.1));
  CHECK(half_interval(differences) == doctest::Approx(4.303 * 0.1 / std::sqrt(3.0)));
  CHECK(std::isinf(half_interval({1.0})));
}

/// Two rules at two rates with three seeds. By all seeds the rate 2 of `rule` is better, by the first and the
/// third alone the rate 1.
const std::string two_rates =
    "side,rate,architecture,steps,seed,validation_loss,state_bytes,update_ms,load_entropy,curve\n"
    "AdamW,1,dense,100,1,4.0,8e6,3,0,5 4\nAdamW,1,dense,100,2,4.0,,,,5 4\nAdamW,1,dense,100,3,4.0,,,,5 4\n"
    "AdamW,2,dense,100,1,4.1,,,,5 4\nAdamW,2,dense,100,2,4.1,,,,5 4\nAdamW,2,dense,100,3,4.1,,,,5 4\n"
    "rule,1,dense,100,1,3.0,4e6,2,0,5 3\nrule,1,dense,100,2,3.0,,,,5 3\nrule,1,dense,100,3,3.0,,,,5 3\n"
    "rule,2,dense,100,1,3.2,,,,5 3\nrule,2,dense,100,2,2.4,,,,4 3\nrule,2,dense,100,3,3.3,,,,6 3\n";

TEST_CASE("the rate of a seed's loss can be chosen by the other seeds") {
  const ArchitectureSummary dense = summaries_of(read(two_rates)).front();
  const SideSummary& rule = *dense.find("rule");
  CHECK(rule.best_rate() == 2);
  // Of seeds 2 and 3: 2.4 + 3.3 at rate 2, so 3.2; of 1 and 3: 3.0 at rate 1; of 1 and 2: 3.3 at rate 2.
  CHECK(rule.losses_by_others_rate() == std::map<std::uint64_t, double>{{1, 3.2}, {2, 3.0}, {3, 3.3}});
  const std::vector<double> differences = differences_by_others_rate(rule, *dense.find("AdamW"));
  REQUIRE(differences.size() == 3);
  CHECK(differences[0] == doctest::Approx(-0.8));
  CHECK(differences[1] == doctest::Approx(-1.0));
  CHECK(dense.find("another") == nullptr);

  // Where one of the others diverged, a rate is not chosen.
  const ArchitectureSummary olmoe = summaries_of(read(table)).front();
  const std::map<std::uint64_t, double> losses = olmoe.find("AdamW")->losses_by_others_rate();
  CHECK(losses.at(1) == 3.5);
  CHECK(losses.at(3) == 3.3);
  CHECK(std::isinf(losses.at(2)));  // it diverges at the rate that the others like best
}

TEST_CASE("the page's tables say what the trainings do") {
  std::vector<ArchitectureSummary> all = summaries_of(read(two_rates));
  all.front().sides[1].first = "derived";
  CHECK(page::overview(all, {"AdamW", "paper", "derived"}) ==
        "|  | AdamW | paper | derived |\n| --- | --- | --- | --- |\n"
        "| dense | 4.0000 ± 0.0000, only 6 trainings |  | 2.9667 ± 0.4933, only 6 trainings |\n");
  CHECK(page::rates(all.front()) ==
        "| rule | 1 | 2 |\n| --- | --- | --- |\n"
        "| AdamW | **4.0000 ± 0.0000** | 4.1000 ± 0.0000 |\n"
        "| derived | 3.0000 ± 0.0000 | **2.9667 ± 0.4933** |\n");
  CHECK(page::at_one_rate(all.front(), 1, "none") ==
        "| rules | loss | seeds |\n| --- | --- | --- |\n| derived | 3.0000 ± 0.0000 | 3 |\n"
        "| AdamW | 4.0000 ± 0.0000 | 3 |\n");
  CHECK(page::at_one_rate(all.front(), 2, "AdamW")
            .find("| derived | 2.9667 ± 0.4933 | 3 | −1.1333 (−2.3588 to +0.0922) |") != std::string::npos);
  CHECK(
      page::best(all.front())
          .find(
              "| AdamW | 1, an end of those tried | 4.0000 ± 0.0000, only 6 trainings |  |  | 8.00 | - |") !=
      std::string::npos);
  CHECK(page::valley_of(*all.front().find("AdamW")) == "at least 1 (1 to 1)");
  CHECK(page::valley_of(*all.front().find("derived")) == "at least 2 (1 to 2)");
  CHECK(page::mean_curve(*all.front().find("derived")) == std::vector<double>{5, 3});
  CHECK(page::curves_of(all).commands.empty());  // no second moments

  const ArchitectureSummary olmoe = summaries_of(read(table)).front();
  CHECK(page::rates(olmoe).find("| AdamW | 3.6000 ± 0.0000 | **3.4000 ± 0.1000** | 1 of 3 diverged |") !=
        std::string::npos);
  CHECK(page::valley_of(*olmoe.find("AdamW")) == "1 (0.002 to 0.002); 1 of 9 diverged");
  CHECK(page::routers({olmoe}).find("| olmoe | AdamW | 0.900 | 10.0 | - |") != std::string::npos);
}

TEST_CASE("an interval that has zero in it tells nothing apart") {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  CHECK(page::verdict({-0.3, -0.31, -0.29}) == "lower");
  CHECK(page::verdict({0.3, 0.31, 0.29}) == "higher");
  CHECK(page::verdict({-0.3, -0.1, 0.05}) == "not told apart");
  CHECK(page::verdict({-0.3}) == "too few trainings");
  CHECK(page::verdict({-0.3, infinity}) == "diverged");
  CHECK(page::mean_and_interval({-0.3, infinity}) == "diverged");
  CHECK(page::mean_and_interval({-0.3, -0.2, -0.1}) == "−0.2000 (−0.4484 to +0.0484)");
  CHECK(page::mean_and_interval({0.25}) == "+0.2500");
}

/// `rule` at five rates with three seeds, the rate 4 lowest; `more` are further lines.
std::string five_rates(const std::string& rule, double lowest, const std::string& more = "") {
  std::ostringstream text;
  for (const int rate : {1, 2, 4, 8, 16})
    for (const int seed : {1, 2, 3})
      text << rule << ',' << rate << ",dense,100," << seed << ',' << lowest + (rate == 4 ? 0 : 1) << ",0\n";
  return text.str() + more;
}
const std::string short_head = "side,rate,architecture,steps,seed,validation_loss,diverged\n";

TEST_CASE("rates are compared by the seeds that all of them have") {
  // A seed of one rate alone changes neither the choice nor the mean.
  const auto with_more = [](const std::string& more) {
    return summaries_of(read(short_head + five_rates("AdamW", 3, more))).front();
  };
  const SideSummary one = *with_more("AdamW,1,dense,100,4,2,0\n").find("AdamW");
  CHECK(one.common_seeds() == std::set<std::uint64_t>{1, 2, 3});
  CHECK(one.best_rate() == 4);
  CHECK(one.is_complete());
  // A further rate with one seed: compared by that seed, and no whole search.
  const SideSummary wider = *with_more("AdamW,32,dense,100,2,2.5,0\n").find("AdamW");
  CHECK(wider.best_rate() == 32);
  CHECK(!wider.is_complete());
  CHECK(page::mean_and_spread(wider.losses_at_best()) == "2.5000");
  // A rate at which any training diverged is no choice.
  CHECK(with_more("AdamW,4,dense,100,4,nan,1\n").find("AdamW")->best_rate() == 1);
  // A loss that did not fall is none, even where it is finite.
  const SideSummary risen = *with_more(
                                 "AdamW,32,dense,100,1,1,1\nAdamW,32,dense,100,2,1,1\n"
                                 "AdamW,32,dense,100,3,1,1\n")
                                 .find("AdamW");
  CHECK(risen.best_rate() == 4);
  CHECK(page::valley_of(risen) == "1 (4 to 4); 3 of 18 diverged");
}

TEST_CASE("a time is shown where it is the shortest of at least five, and curves where all rules have them") {
  std::string rows = "side,rate,architecture,steps,seed,validation_loss,update_ms,curve\n";
  for (const std::string rule : {"AdamW", "derived", "second moments"})
    for (const int rate : {1, 2})
      for (const int seed : {1, 2, 3})
        rows += rule + ',' + std::to_string(rate) + ",dense,100," + std::to_string(seed) + ",3," +
                (rule == "derived" && rate == 2 ? "" : std::to_string(10 - seed)) + ",5 4\n";
  const std::vector<ArchitectureSummary> all = summaries_of(read(rows));
  CHECK(all.front().find("AdamW")->shortest_update_ms() == 7);
  CHECK(std::isnan(all.front().find("derived")->shortest_update_ms()));
  const page::Curves curves = page::curves_of(all);
  CHECK(curves.size == "440,300");
  CHECK(curves.commands.find("$curve0_2 << END\n25 5\n75 4\nEND\n") != std::string::npos);
  CHECK(curves.commands.find("set title \"dense\"") != std::string::npos);
}

TEST_CASE("where every training diverged, the tables say so") {
  const ArchitectureSummary dense =
      summaries_of(read(short_head + "AdamW,1,dense,100,1,nan,1\nAdamW,2,dense,100,1,nan,1\n")).front();
  CHECK(page::valley_of(*dense.find("AdamW")) == "diverged at every rate");
  CHECK(page::rates(dense).find("| AdamW | 1 of 1 diverged | 1 of 1 diverged |") != std::string::npos);
  CHECK(page::best(dense).find("| AdamW | 1, an end of those tried | diverged, only 2 trainings |") !=
        std::string::npos);
}

TEST_CASE("two rules side by side, and claims by comparisons") {
  const std::string both = short_head + five_rates("AdamW", 3.25) + five_rates("rule", 3.5);
  const std::vector<ArchitectureSummary> all = summaries_of(read(both));
  CHECK(page::side_by_side(all, {"AdamW", "rule"}, {}) ==
        "|  | AdamW | rule |\n| --- | --- | --- |\n"
        "| validation loss, dense | **3.2500 ± 0.0000** | 3.5000 ± 0.0000 |\n");
  CHECK(page::comparisons(all, {{"rule", "AdamW"}, {"rule", "another"}}) ==
        "| compared |  | at the best rates | rates by the other seeds | found |\n"
        "| --- | --- | --- | --- | --- |\n"
        "| rule less AdamW | dense | +0.2500 (+0.2500 to +0.2500) | +0.2500 (+0.2500 to +0.2500) | "
        "**higher** |\n");
  CHECK(page::comparisons(all, {{"rule", "another"}}).starts_with("Not searched yet"));
  CHECK(page::overview(all, {"AdamW", "rule"}).find("| **3.2500 ± 0.0000** | 3.5000") != std::string::npos);
  CHECK(page::valleys(all).find("| AdamW | 1 (4 to 4) |") != std::string::npos);
  // A search that is not whole is left out of the first, and marked in the others, where nothing is best.
  const std::vector<ArchitectureSummary> partial = summaries_of(read(both + "rule,32,dense,100,1,9,0\n"));
  CHECK(page::side_by_side(partial, {"AdamW", "rule"}, {}).find("dense") == std::string::npos);
  CHECK(page::overview(partial, {"rule"}).find("| 3.5000, only 16 trainings") != std::string::npos);
  const std::vector<ArchitectureSummary> other = summaries_of(read(both + "AdamW,32,dense,100,1,9,0\n"));
  CHECK(page::valleys(other).find("| AdamW | 1 (4 to 4), only 16 trainings |") != std::string::npos);
}

TEST_CASE("rules are told apart only where the rates of the other seeds say so, too") {
  // At the best rate, 2, all three seeds are lower by 0.3; the first two would have chosen the rate 1 for the
  // third, at which that is higher.
  const std::string rows = short_head +
                           "A,1,dense,100,1,3,0\nA,1,dense,100,2,3,0\nA,1,dense,100,3,3,0\n"
                           "A,2,dense,100,1,9,0\nA,2,dense,100,2,9,0\nA,2,dense,100,3,9,0\n"
                           "B,1,dense,100,1,2.69,0\nB,1,dense,100,2,2.69,0\nB,1,dense,100,3,4,0\n"
                           "B,2,dense,100,1,2.7,0\nB,2,dense,100,2,2.7,0\nB,2,dense,100,3,2.7,0\n";
  const std::string comparisons = page::comparisons(summaries_of(read(rows)), {{"B", "A"}});
  CHECK(comparisons.find("| −0.3000 (−0.3000 to −0.3000) |") != std::string::npos);
  CHECK(comparisons.find("| not told apart |") != std::string::npos);
}

TEST_CASE("the best rate of a narrow model is looked up in the wider ones") {
  const std::string narrow =
      "AdamW,1,qwen3,100,1,3,0\nAdamW,2,qwen3,100,1,3.5,0\n"
      "derived,1,qwen3,100,1,3.5,0\nderived,2,qwen3,100,1,2.5,0\n";
  const std::string wide =
      "AdamW,1,qwen3 x2,100,1,2.75,0\nAdamW,2,qwen3 x2,100,1,2.25,0\n"
      "derived,1,qwen3 x2,100,1,2,0\nderived,2,qwen3 x2,100,1,2.5,0\nderived,4,qwen3 x2,100,1,3,0\n";
  const auto table_of = [&](const std::string& rows) {
    return page::widths(summaries_of(read(short_head + rows)), "qwen3");
  };
  CHECK(table_of(narrow + wide) ==
        "| rule | model | best rate | loss | loss at the rate of qwen3 | less AdamW, at these rates |\n"
        "| --- | --- | --- | --- | --- | --- |\n"
        "| AdamW | qwen3 | 1, an end of those tried | 3.0000 | 3.0000 |  |\n"
        "| AdamW | qwen3 x2 | 2, an end of those tried | 2.2500 | 2.7500 |  |\n"
        "| derived | qwen3 | 2, an end of those tried | 2.5000 | 2.5000 | −0.5000 |\n"
        "| derived | qwen3 x2 | 1, an end of those tried | 2.0000 | 2.5000 | −0.2500 |\n");
  CHECK(table_of(narrow + "AdamW,2,qwen3 x2,100,1,2.25,0\nAdamW,4,qwen3 x2,100,1,2,0\n")
            .find("| AdamW | qwen3 x2 | 4, an end of those tried | 2.0000 | not tried |  |") !=
        std::string::npos);
  CHECK(table_of(narrow).starts_with("Not searched yet"));
}

TEST_CASE("a training is named by what its line begins with") {
  const NamedTraining named = named_training("AdamW; no decay,0.0015,qwen3 x2,700,0");
  CHECK(named.side == "AdamW; no decay");
  CHECK(named.rate == 0.0015);
  CHECK(named.architecture == "qwen3");
  CHECK(named.width == 2);
  CHECK(named.steps == 700);
  CHECK(named.seed == 0);
  CHECK(named_training("A,1,gpt-oss,20,1").width == 1);
  for (const char* wrong : {"", "A,1,dense,700", "A,1,dense,700,1,2", "A,inf,dense,700,1", "A,0,dense,700,1",
                            "A,1,dense,7,1", "A,1,dense,700,-1", "A,1x,dense,700,1"}) {
    CAPTURE(wrong);
    CHECK_THROWS_AS(named_training(wrong), std::invalid_argument);
  }
}

TEST_CASE("the tables of pilots show the columns that a set has") {
  const auto of = [](const std::string& set) {
    std::istringstream file("set,rate,seed 1,seed 2,loss\na,1,3,4,\nb,2,,,5\na,2,4,4,\n");
    return page::pilots(file, set);
  };
  CHECK(of("a") ==
        "| rate | seed 1 | seed 2 | mean |\n| --- | --- | --- | --- |\n"
        "| 1 | 3 | 4 | 3.5000 ± 0.7071 |\n| 2 | 4 | 4 | 4.0000 ± 0.0000 |\n");
  CHECK(of("b") == "| rate | loss |\n| --- | --- |\n| 2 | 5 |\n");
  CHECK_THROWS_WITH(of("c"), "there are no pilots 'c'");
  std::istringstream broken("set,rate\na\n");
  CHECK_THROWS_AS(page::pilots(broken, "a"), std::runtime_error);
}

TEST_CASE("quantiles of Student's distribution") {
  CHECK(student_quantile(2) == doctest::Approx(4.30265).epsilon(1e-3));
  CHECK(student_quantile(9) == doctest::Approx(2.26216).epsilon(1e-3));
  CHECK(student_quantile(10) == doctest::Approx(2.22814).epsilon(1.4e-3));
  CHECK(student_quantile(20) == doctest::Approx(2.08596).epsilon(1e-3));
  CHECK(student_quantile(1000) == doctest::Approx(1.96234).epsilon(1e-4));
  for (const std::size_t degrees : {1U, 2U, 3U, 4U, 9U})
    for (const double sign : {-1.0, 1.0})
      CHECK(student_tails(sign * student_quantile(degrees), degrees) == doctest::Approx(0.05).epsilon(2e-3));
  CHECK(student_tails(0, 3) == 1);
  CHECK(student_tails(2, 4) == doctest::Approx(0.116117).epsilon(1e-5));
}

TEST_CASE("findings are looked at together") {
  CHECK(probability_by_chance({-0.3, -0.2, -0.1}) == doctest::Approx(0.0741799).epsilon(1e-5));
  CHECK(probability_by_chance({0.5, 0.5, 0.5}) == 0);
  CHECK(probability_by_chance({0, 0, 0}) == 1);
  CHECK(probability_by_chance({0.5}) == 1);
  CHECK(probability_by_chance({0.5, std::numeric_limits<double>::infinity()}) == 1);
  CHECK(holm({0.01, 0.04, 0.03, 0.005}) == std::vector<bool>{true, false, false, true});
  CHECK(holm({0.051}) == std::vector<bool>{false});
  CHECK(holm({}).empty());
  // Of two comparisons one has a probability of 0.03, which is little enough alone.
  const std::string rows = short_head + five_rates("A", 3) +
                           "B,4,dense,100,1,2.9,0\nB,4,dense,100,2,2.87,0\nB,4,dense,100,3,2.93,0\n"
                           "B,8,dense,100,1,4,0\nB,8,dense,100,2,4,0\nB,8,dense,100,3,4,0\n"
                           "C,4,dense,100,1,3,0\nC,4,dense,100,2,3.1,0\nC,4,dense,100,3,2.9,0\n"
                           "C,8,dense,100,1,4,0\nC,8,dense,100,2,4,0\nC,8,dense,100,3,4,0\n";
  const std::vector<ArchitectureSummary> all = summaries_of(read(rows));
  CHECK(page::comparisons(all, {{"B", "A"}}).find("| **lower** |") != std::string::npos);
  CHECK(page::comparisons(all, {{"B", "A"}, {"C", "A"}}).find("| lower |") != std::string::npos);
  // A search that has just begun is not among them.
  const std::string begun = "D,4,dense,100,1,3,0\nD,8,dense,100,1,4,0\n";
  CHECK(page::comparisons(summaries_of(read(rows + begun)), {{"B", "A"}, {"D", "A"}}).find("| **lower** |") !=
        std::string::npos);
}

TEST_CASE("a loss that rises is counted, whatever came of it") {
  const std::vector<ArchitectureSummary> all =
      summaries_of(read("side,rate,architecture,steps,seed,validation_loss,curve\n"
                        "AdamW,1,dense,100,1,3,5 4 3\nAdamW,2,dense,100,1,3,5 5.5 3\n"
                        "AdamW,4,dense,100,1,nan,5 6 nan\nAdamW,8,dense,100,1,3,\n"));
  CHECK(page::rises(all) == "| rule | dense |\n| --- | --- |\n| AdamW | 2 of 3, from 2 on |\n");
}

TEST_CASE("a training that is repeated is looked up where the search kept it") {
  Options options;
  CHECK(table_of(options) == "examples/language_model/search.csv");
  options.steps = 700;
  CHECK(table_of(options) == options.output / "search.csv");
  options.repeat = "AdamW,0.0015,dense,700,1";
  CHECK(table_of(options) == "examples/language_model/search.csv");
  options.has_output = true;
  CHECK(table_of(options) == options.output / "search.csv");
}

TEST_CASE("the report has all tables, and marks an end of the grid") {
  std::ostringstream out;
  print_search_report(out, read(table));
  const std::string text = out.str();
  const auto has = [&](const char* line) { return text.find(line) != std::string::npos; };
  CHECK(has("olmoe, 100 steps: validation loss, nats per token\n"));
  CHECK(has(
      "AdamW                               0.002    3.4000    0.1000      2.00      50.0       4.0     0.900"
      "      10.0         9\n"));
  CHECK(has(
      "rule                               0.002*    3.2000    0.2000      1.00      40.0       2.0     0.700"
      "       0.0         3\n"));
  CHECK(has("* an end of the rates that were tried\n"));
  CHECK(has("rule                              -0.2000   -0.4484    0.0484         3\n"));
  CHECK(has("AdamW                                   0         0        33\n"));
  CHECK(has("rule                                    -         0         -\n"));
}

TEST_CASE("a grid goes on beyond the end at which the lowest loss is, and stops in between") {
  const double nan = std::nan("");
  RateGrid grid({1, 2, 4});
  CHECK(!grid.widen({3, 2, 3}));
  CHECK(grid.widen({3, 4, nan}));
  CHECK(grid.rates() == std::vector<double>{0.5, 1, 2, 4});
  CHECK(!grid.widen({4, 3, 4, nan}));
  CHECK(grid.widen({4, 3, 2, 1}));
  CHECK(grid.rates() == std::vector<double>{0.5, 1, 2, 4, 8});
  CHECK(grid.widen({nan, nan, nan, nan, nan}));
  CHECK(grid.rates().front() == 0.25);
  for (int more = 0; more < 3; ++more)
    CHECK(grid.widen(std::vector<double>(grid.rates().size(), 1)));  // the first of equal ones
  CHECK(grid.rates().size() == 9);
  CHECK(grid.rates().front() == 1 / 32.0);
  CHECK(!grid.widen(std::vector<double>(9, 1)));
  RateGrid one({3});
  CHECK(!one.widen({1}));
  CHECK(RateGrid().rates().size() == 5);
}

}}  // namespace search_report_test
