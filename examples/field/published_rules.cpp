// SPDX-License-Identifier: Apache-2.0
// Published update rules, written from their papers' formulas, and the largest group of each as the checks
// find it: the table of docs/published-rules.md. With the name of a rule as argument: all that was found of
// it.
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

#include <functional>
#include <iomanip>
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
  std::string source;
  std::function<Classification(TrajectoryOptions)> classify;
  /// The gradients and shapes on which it is tried, where that is less than all.
  std::vector<std::string> inputs{};
  std::vector<Shape> shapes{};
  /// The group of a failed check that the page shows; empty: none.
  std::string shown{};
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
/// Square blocks of full rank, without equal singular values.
const std::vector<std::string> full_rank{"gaussian", "outlier", "condition-3"};
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
      {"Muon", "2502.16982", of_momentum(newton_schulz, nesterov)},
      {"Scion, spectral norm", "2502.07529", of_momentum(newton_schulz, ema)},
      {"Scion, largest entry", "2502.07529", of_momentum(Sign{}, ema)},
      {"NorMuon", "2510.05491", with_state(field::NorMuon{}), {}, {}, "left rotations"},
      {"AdaMuon", "2507.11005", with_state(field::AdaMuon{}), {}, {}, "right rotations"},
      {"Turbo-Muon", "2512.04632", with_state(field::TurboMuon{}), {}, {}, "right rotations"},
      {"SinkGD", "2502.06742", of_momentum(field::SinkGd{}, no_momentum)},
      {"Dion2", "2512.16928", with_state(dion2), {}, {}, "left permutations"},
      {"Dion2, no equal sums", "2512.16928", with_state(dion2), untied},
      {"SOAP", "2409.11321", with_state(soap), {}, {}, "left rotations"},
      {"SOAP, square and of full rank", "2409.11321", with_state(soap), full_rank, square},
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

/// The check under that group that failed.
const Report* failure(const Classification& row, std::string_view group) {
  for (const Report& report : row.reports)
    if (report.group == group && report.verdict == Verdict::violated) return &report;
  return nullptr;
}

Classification classified(const Published& rule) {
  return rule.classify({.seed = 7,
                        .steps = 20,
                        .trials = 24,
                        .shapes = rule.shapes,
                        .inputs = rule.inputs,
                        .name = rule.name});
}

}  // namespace

int main(int count, char** arguments) {
  const std::string_view only = count > 1 ? arguments[1] : "";
  bool is_known = only.empty(), is_as_shown = true;
  std::vector<const Report*> shown;
  std::vector<Classification> rows;
  for (const Published& rule : published()) {
    if (!only.empty() && rule.name != only) continue;
    is_known = true;
    rows.push_back(classified(rule));
    if (only.empty()) continue;
    std::cout << rows.back() << '\n';
    for (const Report& report : rows.back().reports)
      if (report.verdict != Verdict::holds) std::cout << report << '\n';
  }
  if (!only.empty()) {
    if (!is_known) std::cerr << "no rule '" << only << "'\n";
    return is_known ? 0 : 1;
  }

  std::cout << "| rule | arXiv | left | right | E | H | I | degree | respects the symmetries of |\n"
               "|---|---|---|---|---|---|---|---|---|\n";
  const std::vector<Published> rules = published();
  for (std::size_t k = 0; k < rows.size(); ++k) {
    const Classification& row = rows[k];
    std::cout << "| " << row.rule << " | " << rules[k].source << " | " << row.left.letter() << " | "
              << row.right.letter() << " | " << yes_or_no(row.equivariant) << " | "
              << yes_or_no(row.horizontal) << " | " << yes_or_no(row.shift_invariant) << " | " << degree(row)
              << " | " << classes(row) << " |\n";
  }
  std::cout << '\n';
  for (std::size_t k = 0; k < rows.size(); ++k) {
    if (rules[k].shown.empty()) continue;
    const Report* report = failure(rows[k], rules[k].shown);
    is_as_shown = is_as_shown && report != nullptr;
    if (report != nullptr) std::cout << *report << '\n';
  }
  return is_as_shown ? 0 : 1;
}
