// SPDX-License-Identifier: Apache-2.0
// Published update rules, written from their papers' formulas, and the largest group of each as the checks
// find it: the table of docs/published-rules.md. With the name of a rule as argument, all that was found of
// it. The environment's SYMOPT_SEED chooses other random numbers.
#include "ada_muon.hpp"
#include "any_rule.hpp"
#include "dion2.hpp"
#include "lion.hpp"
#include "nor_muon.hpp"
#include "sink_gd.hpp"
#include "soap.hpp"
#include "turbo_muon.hpp"

#include <symopt/check.hpp>
#include <symopt/symopt.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <functional>
#include <iostream>
#include <string>
#include <string_view>
#include <vector>

using namespace symopt;
using namespace symopt::check;

namespace {

/// A rule to classify.
struct Published {
  std::string name;
  std::string source;  ///< its number in the arXiv, or "post"
  std::function<Classification(TrajectoryOptions)> classify;
  /// The gradients and shapes on which it is tried, where that is less than all.
  std::vector<std::string> inputs{};
  std::vector<Shape> shapes{};
  /// The group of a failed check that the page shows; empty: none.
  std::string shown{};

  std::string address() const {
    return source == "post" ? "https://kellerjordan.github.io/posts/muon/"
                            : "https://arxiv.org/abs/" + source;
  }
};

/// Each optimizer without decay and with a factor of 1 for the shape: the rule alone.
constexpr double rate = 0.1;

std::function<Classification(TrajectoryOptions)> with_state(const auto& rule) {
  return [any = field::AnyStatefulRule(rule)](const TrajectoryOptions& options) {
    const auto factory = [&](Shape shape) {
      return Optimizer<field::AnyStatefulRule, double>(shape.rows, shape.cols, {.learning_rate = rate}, any);
    };
    return classify_optimizer(factory, options);
  };
}

std::function<Classification(TrajectoryOptions)> of_momentum(const auto& map,
                                                             const OptimizerOptions& momentum) {
  return [any = field::AnyMap(map), momentum](const TrajectoryOptions& options) {
    const auto factory = [&](Shape shape) {
      return Optimizer<field::AnyMap, double>(shape.rows, shape.cols, momentum, any);
    };
    return classify_optimizer(factory, options);
  };
}

const OptimizerOptions ema{.learning_rate = rate, .momentum = 0.9};
const OptimizerOptions nesterov{.learning_rate = rate,
                                .momentum = 0.95,
                                .momentum_convention = MomentumConvention::heavy_ball,
                                .nesterov = true};
const OptimizerOptions no_momentum{.learning_rate = rate, .momentum = 0};

/// Gradients in general position, of which no two lines have equal sums.
const std::vector<std::string> untied{"gaussian", "outlier", "half-rank"};
/// Square blocks with singular values from 1 to 3, of which no two are equal.
const std::vector<std::string> well_conditioned{"condition-3"};
const std::vector<Shape> square{{2, 2}, {3, 3}, {4, 4}};

std::vector<Published> published() {
  const field::Orthogonalize newton_schulz;
  // Half of the lines, and new bases every other step: on small blocks and in short runs, too, several lines
  // are chosen, and bases renewed.
  const field::Dion2 dion2{.fraction = 0.5};
  const field::Soap soap{.every = 2};
  return {
      {"AdamW", "1711.05101", with_state(AdamW{})},
      {"Lion", "2302.06675", with_state(field::Lion{})},
      {"Adam-mini, a rate for each row", "2406.16793", with_state(Adaptive<Embedding>{})},
      {"Adam-mini, a rate for the block", "2406.16793", with_state(Adaptive<HiddenMatrix, moments::Block>{})},
      {"Muon", "post", of_momentum(newton_schulz, nesterov)},
      {"Scion, hidden layers", "2502.07529", of_momentum(newton_schulz, ema)},
      {"Scion, last layer", "2502.07529", of_momentum(Sign{}, ema)},
      {"NorMuon", "2510.05491", with_state(field::NorMuon{}), {}, {}, "left rotations"},
      {"AdaMuon", "2507.11005", with_state(field::AdaMuon{}), {}, {}, "right rotations"},
      {"Turbo-Muon", "2512.04632", with_state(field::TurboMuon{}), {}, {}, "right rotations"},
      {"SinkGD", "2502.06742", of_momentum(field::SinkGd{}, no_momentum)},
      {"Dion2", "2512.16928", with_state(dion2), {}, {}, "left permutations"},
      {"Dion2, no equal sums", "2512.16928", with_state(dion2), untied},
      {"SOAP", "2409.11321", with_state(soap), {}, {}, "left rotations"},
      {"SOAP, square and well-conditioned", "2409.11321", with_state(soap), well_conditioned, square},
  };
}

std::string yes_or_no(Verdict verdict) {
  return verdict == Verdict::holds ? "yes" : verdict == Verdict::violated ? "no" : to_string(verdict);
}

/// The parameter classes whose symmetries the rule respects.
std::string classes(const Classification& row) {
  const auto has = [](const SideSymmetry& side, GeneratorKind kind) { return side.has(kind); };
  using enum GeneratorKind;
  const bool orders_rows = has(row.left, rotations) || has(row.left, permutations);
  const bool orders_columns = has(row.right, rotations) || has(row.right, permutations);
  std::string text;
  const auto add = [&](const char* name, bool is_respected) {
    if (is_respected) text += (text.empty() ? "`" : ", `") + std::string(name) + '`';
  };
  add("HiddenMatrix", has(row.left, rotations) && has(row.right, rotations));
  add("Embedding", orders_rows && has(row.right, rotations));
  add("SwigluOutput", has(row.left, rotations) && orders_columns);
  add("LmHead", orders_rows && has(row.right, rotations) && row.equivariant == Verdict::holds &&
                    row.horizontal == Verdict::holds && row.shift_invariant == Verdict::holds);
  return text.empty() ? "none" : text;
}

std::string degree(const Classification& row) {
  return row.degree ? std::to_string(std::lround(*row.degree)) : "none";
}

/// The check under that group that failed; none where all held.
const Report* failure(const Classification& row, std::string_view group) {
  const auto has_failed = [&](const Report& report) {
    return report.group == group && report.verdict == Verdict::violated;
  };
  const auto found = std::find_if(row.reports.begin(), row.reports.end(), has_failed);
  return found == row.reports.end() ? nullptr : &*found;
}

Classification classified(const Published& rule) {
  return rule.classify(
      {.steps = 20, .trials = 24, .shapes = rule.shapes, .inputs = rule.inputs, .name = rule.name});
}

/// A row of the table.
void print_row(const Published& rule, const Classification& row) {
  const char* const dash = " | ";
  std::cout << "| " << rule.name << " | [" << rule.source << "](" << rule.address() << ") | "
            << row.left.letter() << dash << row.right.letter() << dash << yes_or_no(row.equivariant) << dash
            << yes_or_no(row.horizontal) << dash << yes_or_no(row.shift_invariant) << dash << degree(row)
            << dash << classes(row) << " |\n";
}

/// Why the group is no larger, and the command that shows this trial alone.
bool print_failure(const Published& rule, const Classification& row) {
  const Report* const report = failure(row, rule.shown);
  if (report == nullptr) return false;
  std::cout << rule.name << ", " << report->group << ": " << report->reason << '\n'
            << *report->counterexample << '\n'
            << report->reproduce << " ./published_rules " << rule.name << "\n\n";
  return true;
}

/// All that was found of a rule: its row, and every check that does not hold.
void print_all(const Published& rule) {
  const Classification row = classified(rule);
  std::cout << row << '\n';
  for (const Report& report : row.reports)
    if (report.verdict != Verdict::holds) std::cout << report << '\n';
}

}  // namespace

int main(int count, char** arguments) {
  const std::vector<Published> rules = published();
  if (count > 1) {
    const auto named = [&](const Published& rule) { return rule.name == arguments[1]; };
    const auto rule = std::find_if(rules.begin(), rules.end(), named);
    if (rule == rules.end()) {
      std::cerr << "there is no rule '" << arguments[1] << "' in the table\n";
      return 1;
    }
    print_all(*rule);
    return 0;
  }

  std::vector<Classification> rows;
  for (const Published& rule : rules) rows.push_back(classified(rule));
  std::cout << "| rule | source | left | right | E | H | I | degree | keeps the symmetries of |\n"
               "|---|---|---|---|---|---|---|---|---|\n";
  for (std::size_t k = 0; k < rows.size(); ++k) print_row(rules[k], rows[k]);
  std::cout << '\n';
  bool has_all = true;
  for (std::size_t k = 0; k < rows.size(); ++k)
    if (!rules[k].shown.empty()) has_all = print_failure(rules[k], rows[k]) && has_all;
  return has_all ? 0 : 1;
}
