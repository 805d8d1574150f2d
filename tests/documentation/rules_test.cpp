// SPDX-License-Identifier: Apache-2.0
// The tables of defaults in docs/rules.md, after `<!-- defaults of NAME -->`, have every option of NAME and
// its value.
#include <symopt/derive/dual_norm.hpp>
#include <symopt/frame/frame_options.hpp>
#include <symopt/normalization/column_norm.hpp>
#include <symopt/optimizer/adamw.hpp>
#include <symopt/optimizer/adaptive.hpp>
#include <symopt/optimizer/schedule.hpp>
#include <symopt/pair/pair_options.hpp>
#include <symopt/polar/gram_newton_schulz.hpp>
#include <symopt/polar/newton_schulz.hpp>
#include <symopt/polar/polar_express.hpp>
#include <symopt/polar/zolotarev.hpp>
#include <symopt/stack/stack_options.hpp>

#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <regex>
#include <sstream>
#include <string>
#include <type_traits>
#include <vector>

namespace rules_test { namespace {

using namespace symopt;

/// The options of a thing with their values as text; of several things under "thing.option".
using Defaults = std::map<std::string, std::string>;

template <class Value>
std::string text(const Value& value) {
  if constexpr (requires { to_string(value); }) {
    return to_string(value);
  } else {
    std::ostringstream out;
    out << std::boolalpha << value;
    return out.str();
  }
}

/// A number however it is written; the text of anything else.
std::string plain(const std::string& value) {
  char* end = nullptr;
  const double number = std::strtod(value.c_str(), &end);
  return value.empty() || *end != '\0' ? value : text(number);
}

/// The options that a rule or options themselves show.
template <class Shown>
Defaults shown_by(Shown shown) {
  Defaults found;
  shown.options([&](const char* name, const auto& value) {
    using Value = std::remove_cvref_t<decltype(value)>;
    if constexpr (std::is_same_v<Value, RowNorm>) {
      found[name] = "";
    } else {
      found[name] = plain(text(value));
    }
  });
  return found;
}

/// Those of a stack, whose structured binding no longer compiles when one is added.
Defaults of_stack() {
  const auto& [rate, decay, momentum, convention, nesterov, non_finite, ratios] = StackOptions{};
  std::string ratio = "1";
  for (const auto& one : shown_by(ratios))
    if (one.second != "1") ratio = "not all 1";
  return {{"learning_rate", text(rate)},
          {"weight_decay", text(decay)},
          {"momentum", text(momentum)},
          {"momentum_convention", text(convention)},
          {"nesterov", text(nesterov)},
          {"non_finite", text(non_finite)},
          {"ratios", ratio}};
}

Defaults of_polar_methods() {
  Defaults found{{"polar::Automatic", ""}, {"polar::Fast", ""}};
  const auto& [terms, lower, upper] = polar::Zolotarev{};
  found["polar::Zolotarev.terms"] = text(terms);
  found["polar::Zolotarev.lower_bound"] = text(lower);
  found["polar::Zolotarev.upper_bound"] = text(upper);
  const auto add = [&](const std::string& name, int steps, double safety, double eps) {
    found[name + ".steps"] = text(steps);
    found[name + ".safety"] = text(safety);
    found[name + ".eps"] = text(eps);
  };
  const auto& [gram_steps, gram_list, restart, gram_safety, gram_eps] = polar::GramNewtonSchulz{};
  add("polar::GramNewtonSchulz", gram_steps, gram_safety, gram_eps);
  found["polar::GramNewtonSchulz.restart_after"] = text(restart);
  const auto& [express_steps, express_list, express_safety, express_eps] = polar::PolarExpress{};
  add("polar::PolarExpress", express_steps, express_safety, express_eps);
  const auto& [steps, list, safety, eps] = polar::NewtonSchulz{};
  add("polar::NewtonSchulz", steps, safety, eps);
  CHECK(gram_list[0] == polar::lists::polar_express[0]);  // what the page says of coefficients
  CHECK(express_list[0] == polar::lists::polar_express[0]);
  CHECK(list[0] == polar::lists::jordan[0]);
  return found;
}

Defaults of_schedules() {
  const auto& [warmup, total] = WarmupCosine{};
  const auto& [linear_total, share] = ConstantThenLinear{};
  const auto& [first, last, steps] = Ramp{};
  return {{"WarmupCosine.warmup_steps", text(warmup)},
          {"WarmupCosine.total_steps", text(total)},
          {"ConstantThenLinear.total_steps", text(linear_total)},
          {"ConstantThenLinear.decay_share", text(share)},
          {"Ramp.first", text(first)},
          {"Ramp.last", text(last)},
          {"Ramp.steps", text(steps)}};
}

Defaults of_frames() {
  const auto& [memory, tie] = FrameOptions{};
  return {{"memory", text(memory)}, {"tie", text(tie)}};
}

/// The cells of a row of a table, without backticks and outer spaces.
std::vector<std::string> cells(const std::string& row) {
  std::vector<std::string> found;
  std::istringstream parts(row.substr(1));
  for (std::string cell; std::getline(parts, cell, '|');) {
    std::erase(cell, '`');
    const auto begin = cell.find_first_not_of(' ');
    found.push_back(begin == std::string::npos ? ""
                                               : cell.substr(begin, cell.find_last_not_of(' ') - begin + 1));
  }
  return found;
}

/// The table after each mark. A first column before "option" names the thing, until it names another.
std::map<std::string, Defaults> tables(std::istream& page) {
  std::map<std::string, Defaults> found;
  const std::string mark = "<!-- defaults of ";
  for (std::string line; std::getline(page, line);) {
    if (!line.starts_with(mark)) continue;
    Defaults& table = found[line.substr(mark.size(), line.find(" -->") - mark.size())];
    std::getline(page, line);
    const bool names_things = cells(line).at(0) != "option";
    std::getline(page, line);  // the rule under the header
    std::string thing;
    while (std::getline(page, line) && line.starts_with('|')) {
      const std::vector<std::string> row = cells(line);
      if (names_things && !row.at(0).empty()) thing = row[0];
      const std::string option = row.at(names_things ? 1 : 0), value = row.at(names_things ? 2 : 1);
      const std::string name = names_things ? thing + (option.empty() ? "" : "." + option) : option;
      CHECK_MESSAGE(table.emplace(name, plain(value)).second, name, " stands there twice");
    }
  }
  return found;
}

TEST_CASE("the page of rules has every option and its default") {
  std::ifstream page(std::filesystem::path(SYMOPT_SOURCE_DIR) / "docs/rules.md");
  const std::map<std::string, Defaults> expected{{"OptimizerOptions", shown_by(OptimizerOptions{})},
                                                 {"StackOptions", of_stack()},
                                                 {"RowNorm", shown_by(RowNorm{})},
                                                 {"ColumnNorm", shown_by(ColumnNorm{})},
                                                 {"DualNorm", shown_by(DualNorm<RowNorm>{})},
                                                 {"Adaptive", shown_by(Adaptive<HiddenMatrix>{})},
                                                 {"AdamW", shown_by(AdamW{})},
                                                 {"polar methods", of_polar_methods()},
                                                 {"FrameOptions", of_frames()},
                                                 {"PairOptions", shown_by(PairOptions{})},
                                                 {"schedules", of_schedules()}};
  const auto stated = tables(page);
  CHECK(stated.size() == expected.size());
  for (const auto& entry : expected) {
    const std::string& name = entry.first;
    const Defaults& defaults = entry.second;
    CAPTURE(name);
    const auto place = stated.find(name);
    REQUIRE(place != stated.end());
    for (const auto& option : defaults) {
      CAPTURE(option.first);
      const auto row = place->second.find(option.first);
      REQUIRE(row != place->second.end());
      CHECK(row->second == option.second);
    }
    CHECK(place->second.size() == defaults.size());
  }
}

/// The names on the lines of public_names.txt that are for this.
std::vector<std::string> public_names(const std::string& purpose) {
  std::vector<std::string> names;
  std::ifstream list(std::filesystem::path(SYMOPT_SOURCE_DIR) / "tests/documentation/public_names.txt");
  for (std::string line; std::getline(list, line);) {
    if (!line.starts_with(purpose + ":")) continue;
    std::istringstream words(line.substr(purpose.size() + 1));
    for (std::string name; words >> name;) names.push_back(name);
  }
  return names;
}

TEST_CASE("the page of rules has every public normalization, schedule and optimizer's rule") {
  std::ifstream file(std::filesystem::path(SYMOPT_SOURCE_DIR) / "docs/rules.md");
  const std::string page{std::istreambuf_iterator<char>(file), {}};
  std::vector<std::string> names = public_names("normalizations");
  CHECK(names.size() >= 10);
  for (const std::string& schedule : public_names("schedules")) names.push_back(schedule);
  for (const char* rule : {"AdamW", "Adaptive", "frame_average"}) names.emplace_back(rule);
  for (const std::string& name : names) {
    CAPTURE(name);
    CHECK(std::regex_search(page, std::regex("`" + name + "\\b")));
  }
}

TEST_CASE("the reader of tables sees a wrong default and a missing one") {
  std::istringstream page(
      "<!-- defaults of A -->\n| option | default | x |\n|---|---|---|\n| `eps` | 1e-08 | e |\n\n"
      "<!-- defaults of B -->\n| thing | option | default |\n|---|---|---|\n| `b` | `c` | on |\n| | `d` | 2 "
      "|\n");
  const auto found = tables(page);
  CHECK(found.at("A") == Defaults{{"eps", "1e-08"}});
  CHECK(found.at("B") == Defaults{{"b.c", "on"}, {"b.d", "2"}});
  CHECK(plain("1e-8") == plain("0.00000001"));
  CHECK(plain("1e-8") != plain("1e-7"));
  CHECK(plain("none") == "none");
}

}}  // namespace rules_test
