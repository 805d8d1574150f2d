// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "support/all_rules.hpp"
#include "support/error.hpp"

#include <doctest/doctest.h>

#include <symopt/check/doctest.hpp>
#include <symopt/check/inputs.hpp>
#include <symopt/check/laws/equivariance.hpp>
#include <symopt/check/laws/shift.hpp>
#include <symopt/check/one_sided_group.hpp>
#include <symopt/group/shift.hpp>

#include <random>
#include <string>
#include <vector>

// What is asserted of every rule of a list, by the checks that the library ships.
namespace symopt_test {

/// Blocks of 2 and 3 lines fill every side; "polar, then row norm" does nothing on wide full-rank blocks.
inline const std::vector<Shape> rule_shapes{{6, 6}, {12, 6}, {6, 12}};

/// The families of linear generators on one side. Block sizes 2 and 3 stand for all.
inline std::vector<symopt::check::OneSidedGroup> linear_families(Side side) {
  using enum symopt::check::GeneratorKind;
  std::vector<symopt::check::OneSidedGroup> all;
  for (const auto kind : {permutations, signs, rotations, positive_scalings}) all.emplace_back(side, kind);
  for (const auto kind : {block_rotations, block_permutations})
    for (const int size : {2, 3}) all.emplace_back(side, kind, size);
  return all;
}

inline void check_claims(const std::vector<NamedRule>& rules) {
  for (const NamedRule& rule : rules) {
    CAPTURE(rule.name);
    CHECK(rule.claimed == rule.expected);
  }
}

/// Equivariant under every family that the rule claims, and violated under every other one by at least a
/// hundredth of the output.
inline void check_families(const std::vector<NamedRule>& rules, bool claimed) {
  for (const NamedRule& rule : rules)
    for (const Side side : {Side::left, Side::right})
      for (const auto& family : linear_families(side)) {
        if (rule.claimed.on(side).contains_linear(family.families().on(side)) != claimed) continue;
        CAPTURE(rule.name);
        symopt::check::CheckOptions options{.trials = 4, .shapes = rule_shapes, .inputs = rule.inputs};
        if (claimed) {
          SYMOPT_CHECK(check_equivariance(family, rule.rule, options));
        } else {
          options.inputs = {"gaussian", "integers"};  // enough to show it
          SYMOPT_CHECK(expect_violation(family, rule.rule, options));
        }
      }
}

/// Horizontal blocks stay horizontal where the rule says so, and do not where it says no.
inline void check_horizontal_claims(const std::vector<NamedRule>& rules) {
  using namespace symopt::check;
  for (const NamedRule& rule : rules) {
    CAPTURE(rule.name);
    const CheckOptions options{.trials = 4, .shapes = rule_shapes, .inputs = rule.inputs};
    const auto verdict_of = [](bool keeps) { return keeps ? Verdict::holds : Verdict::violated; };
    SYMOPT_CHECK_VERDICT(verdict_of(rule.keeps[0]),
                         check_horizontal<symopt::SharedShift>(rule.rule, options));
    SYMOPT_CHECK_VERDICT(verdict_of(rule.keeps[1]),
                         check_horizontal<symopt::ColumnShift>(rule.rule, options));
  }
}

/// mirrored() is the map of the transposed block: the difference of the two is not more than rounding.
inline void check_mirrors(const std::vector<NamedRule>& rules) {
  using namespace symopt::check;
  for (const NamedRule& rule : rules)
    for (const Shape shape : rule_shapes)
      for (const InputKind& kind : input_kinds()) {
        if (kind.name != "gaussian" && kind.name != "condition-3") continue;
        INFO(rule.name, ", ", symopt::to_string(shape), ", ", std::string(kind.name));
        std::mt19937_64 engine = engine_for(default_seed(), rule.name);
        const Matrix<double> block = kind.draw(shape, engine);
        CHECK(relative_error(rule.mirrored(block), rule(block)) <= 1e-10);
      }
}

}  // namespace symopt_test
