// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "support/expect_verdict.hpp"
#include "support/rules.hpp"

#include <symopt/check/equivariance.hpp>
#include <symopt/check/one_sided_group.hpp>
#include <symopt/check/shift.hpp>
#include <symopt/group/shift.hpp>

// What is asserted of every rule of a list, by the checks that the library ships.
namespace symopt_test {

/// Blocks of 2 and 3 lines fill every side; "polar, then row norm" does nothing on wide full-rank blocks.
inline const std::vector<Shape> rule_shapes{{6, 6}, {12, 6}, {6, 12}};

/// The families of linear generators on one side. Block sizes 2 and 3 stand for all.
inline std::vector<symopt::check::OneSidedGroup> linear_families(Side side) {
  using symopt::check::GeneratorKind;
  std::vector<symopt::check::OneSidedGroup> all;
  for (const GeneratorKind motions :
       {GeneratorKind::swaps, GeneratorKind::signs, GeneratorKind::rotations, GeneratorKind::positive_scalings})
    all.emplace_back(side, motions);
  for (const GeneratorKind motions : {GeneratorKind::block_rotations, GeneratorKind::block_swaps})
    for (const int size : {2, 3}) all.emplace_back(side, motions, size);
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
          expect_holds(check_equivariance(family, rule.rule, options));
        } else {
          options.inputs = {"gaussian", "integers"};  // enough to show it
          expect_holds(expect_violation(family, rule.rule, options));
        }
      }
}

/// Horizontal blocks stay horizontal where the rule says so, and do not where it says no.
inline void check_horizontal_claims(const std::vector<NamedRule>& rules) {
  using symopt::check::Verdict;
  const symopt::check::CheckOptions options{.trials = 4, .shapes = rule_shapes};
  for (const NamedRule& rule : rules) {
    CAPTURE(rule.name);
    const auto verdict_of = [&](bool keeps) { return keeps ? Verdict::holds : Verdict::violated; };
    symopt::check::CheckOptions chosen = options;
    chosen.inputs = rule.inputs;
    expect(verdict_of(rule.keeps[0]),
           symopt::check::check_horizontal<symopt::SharedShift>(rule.rule, chosen));
    expect(verdict_of(rule.keeps[1]),
           symopt::check::check_horizontal<symopt::ColumnShift>(rule.rule, chosen));
  }
}

/// mirrored() is the map of the transposed block: the difference of the two is not more than rounding.
inline void check_mirrors(const std::vector<NamedRule>& rules) {
  CAPTURE(default_seed);
  Random random(default_seed);
  for (const NamedRule& rule : rules)
    for (const Shape shape : rule_shapes)
      for (const Input& input : well_conditioned_inputs(shape, random)) {
        INFO(rule.name, ", ", symopt::to_string(shape), ", ", input.name);
        CHECK(relative_error(rule.mirrored(input.value), rule.map(input.value)) <= 1e-10);
      }
}

}  // namespace symopt_test
