// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "support/rules.hpp"

#include <doctest/doctest.h>

// What is asserted of every rule of a list.
namespace symopt_test {

/// Blocks of 2 and 3 lines fill every side; "polar, then row norm" does nothing on wide full-rank blocks.
inline const std::vector<Shape> rule_shapes{{6, 6}, {12, 6}, {6, 12}};

inline void check_claims(const std::vector<NamedRule>& rules) {
  for (const NamedRule& rule : rules) {
    CAPTURE(rule.name);
    CHECK(rule.claimed == rule.expected);
  }
}

/// Equivariant under every generator of every family that the rule claims, on hard inputs too.
inline void check_claimed_families(const std::vector<NamedRule>& rules) {
  CAPTURE(default_seed);
  Random random(default_seed);
  for (const NamedRule& rule : rules)
    for (const Shape shape : rule_shapes) {
      const auto inputs = all_inputs(shape, random);
      for (const Side side : {Side::left, Side::right})
        for (const LinearFamily& family : linear_families()) {
          if (!rule.claimed.on(side).contains_linear(family.families)) continue;
          const Index lines = side == Side::left ? shape.rows : shape.cols;
          const auto verdict = try_equivariance(rule.map, generators_of(family, side, lines), inputs, random,
                                                roundoff<double>, rule.roundings);
          INFO(rule.name, ", ", symopt::to_string(shape), ", worst: ", verdict.where);
          CHECK(verdict.worst <= 1);
          CHECK(2 * verdict.ill_posed < verdict.tried);
          if (!family.families.rotations && family.families.block_rotations == 0)
            CHECK(integer_error(rule.map, generators_of(family, side, lines), shape, random) <= 1e-9);
        }
    }
}

/// Broken, by at least a hundredth of the result, under some generator of every family not claimed.
inline void check_other_families(const std::vector<NamedRule>& rules) {
  CAPTURE(default_seed);
  Random random(default_seed);
  for (const NamedRule& rule : rules)
    for (const Side side : {Side::left, Side::right})
      for (const LinearFamily& family : linear_families()) {
        if (rule.claimed.on(side).contains_linear(family.families)) continue;
        double broken = 0;
        for (const Shape shape : rule_shapes) {
          const Index lines = side == Side::left ? shape.rows : shape.cols;
          const auto inputs = well_conditioned_inputs(shape, random);
          broken = std::max(
              broken,
              try_equivariance(rule.map, generators_of(family, side, lines), inputs, random).relative);
        }
        INFO(rule.name, ", ", to_string(side), " ", family.name);
        CHECK(broken > 1e-2);
        CHECK(std::isfinite(broken));
      }
}

/// Horizontal blocks stay horizontal where the rule says so, and do not where it says no.
inline void check_horizontal_claims(const std::vector<NamedRule>& rules) {
  CAPTURE(default_seed);
  Random random(default_seed);
  for (const NamedRule& rule : rules)
    for (const Side side : {Side::left, Side::right}) {
      double broken = 0;
      for (const Shape shape : rule_shapes)
        for (const Input& input : well_conditioned_inputs(shape, random)) {
          const Matrix<double> result = rule.map(centred(input.value, side));
          broken = std::max(broken, relative_error(centred(result, side), result));
        }
      INFO(rule.name, ", ", to_string(side));
      if (rule.keeps[side == Side::left ? 0 : 1]) {
        CHECK(broken <= 1e-11);
      } else {
        CHECK(broken > 1e-2);
        CHECK(std::isfinite(broken));
      }
    }
}

/// mirrored() is the map of the transposed block.
inline void check_mirrors(const std::vector<NamedRule>& rules) {
  CAPTURE(default_seed);
  Random random(default_seed);
  for (const NamedRule& rule : rules)
    for (const Shape shape : rule_shapes)
      for (const Input& input : all_inputs(shape, random)) {
        const Matrix<double> result = rule.map(input.value);
        const double change = rounding_change(rule.map, input.value, result, roundoff<double>, 2, random);
        if (change > 1e-3 * result.stableNorm()) continue;
        INFO(rule.name, ", ", symopt::to_string(shape), ", ", input.name);
        CHECK(error_on_scale(rule.mirrored(input.value), result,
                             change + roundoff<double> * result.stableNorm()) <= rule.roundings);
      }
}

}  // namespace symopt_test
