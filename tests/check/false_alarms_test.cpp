// SPDX-License-Identifier: Apache-2.0
// No shipped rule is called violated under its own group, whatever the seed: in double alone, in float alone
// and where both explain each other. A run has 30 seeds for each rule, a thorough one 60, which take these
// three in turn. SYMOPT_TEST_SEEDS is another number of seeds, each of which tries all three; ./run test
// --everything has 2000.
#include <symopt/check/laws/equivariance.hpp>
#include <symopt/derive/then.hpp>
#include <symopt/derive/update.hpp>
#include <symopt/group/named_groups.hpp>
#include <symopt/normalization/row_norm.hpp>
#include <symopt/normalization/spectral.hpp>

#include <doctest/doctest.h>

#include <symopt/check/doctest.hpp>

#include <algorithm>
#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include "support/all_groups.hpp"
#include "support/all_rules.hpp"
#include "support/all_updates.hpp"
#include "support/thorough.hpp"

namespace false_alarms_test { namespace {

using namespace symopt;
using namespace symopt::check;
using namespace symopt_test;

/// The seeds of a run, and whether each tries a rule in all its precisions.
struct Seeds {
  std::uint64_t count;
  bool try_all = false;
};

Seeds seeds_of_this_run() {
  const char* text = std::getenv("SYMOPT_TEST_SEEDS");
  if (text == nullptr || *text == '\0') return {is_thorough_run() ? 60U : 30U};
  return {std::strtoull(text, nullptr, 10), true};
}

/// A rule with both precisions under its group.
struct Honest {
  AnyRule rule;
  const AnyGroup& group;
  Families heads;  ///< whose blocks the rule takes
  std::vector<std::string> inputs{};
};

/// The largest group of the lists that moves gradients by no more than these families.
const AnyGroup& largest_group(const Families& families) {
  const AnyGroup* best = nullptr;
  for (const NamedGroup& named : groups()) {
    const Families own = named.in_wide->families();
    const bool is_within = families.contains(own) && (own.left.is_linear() || own.right.is_linear());
    if (is_within && (best == nullptr || own.contains_linear(best->families()))) best = named.in_wide.get();
  }
  REQUIRE(best != nullptr);
  return *best;
}

std::vector<Honest> honest_rules() {
  std::vector<Honest> all;
  for (const auto* rules : {&elementary_rules(), &spectral_rules(), &composed_rules()})
    for (const NamedRule& named : *rules) {
      AnyRule rule = named.rule;
      rule.in_float = named.in_float;
      all.push_back({std::move(rule), largest_group(named.expected), named.expected, named.inputs});
    }
  for (const DefaultUpdate& update : default_updates()) {
    const Families families = update.group.in_wide->families();
    if (!families.left.is_linear() && !families.right.is_linear()) continue;  // moves no gradient
    AnyRule rule = update.in_double;
    rule.in_float = update.in_float.in_float;
    all.push_back({std::move(rule), *update.group.in_wide, families});
  }
  all.push_back({any_rule(Update<LmHead, Then<RowNorm, Spectral<>>>{}), *group_of<LmHead>().in_wide, {}});
  return all;
}

/// One shape for each seed: all small ones in turn, and every fourth a large one on a few kinds of input.
CheckOptions options_of(std::uint64_t seed, const Honest& honest) {
  const Families& families = honest.heads;
  CheckOptions options{.seed = 7919 * seed + 1, .trials = 4, .inputs = honest.inputs};
  if (seed % 4 == 3) {
    options.shapes = {large_shapes(families, seed)[seed / 4 % 3]};
    if (options.inputs.empty())
      options.inputs = {"gaussian", "integers", "condition-1e3", "half-rank", "zero-row", "outlier"};
  } else {
    const std::vector<Shape> shapes = default_shapes(families);
    options.shapes = {shapes[seed % shapes.size()]};
  }
  return options;
}

TEST_CASE("no shipped rule is called violated, in double alone, with float beside it, or in float alone") {
  const Seeds seeds = seeds_of_this_run();
  for (const Honest& honest : honest_rules()) {
    AnyRule in_double_only = honest.rule;
    in_double_only.in_float = {};
    std::uint64_t turn = 0;
    for (const AnyRule& rule : {in_double_only, honest.rule, in_float_only(honest.rule)}) {
      int alarms = 0;
      for (std::uint64_t seed = seeds.try_all ? 0 : turn; seed < seeds.count; seed += seeds.try_all ? 1 : 3) {
        const Report report = check_equivariance(honest.group, rule, options_of(seed, honest));
        if (report.verdict != Verdict::violated) continue;
        if (++alarms == 1) MESSAGE(to_string(report));
      }
      CAPTURE(rule.name);
      CAPTURE(honest.group.name());
      CAPTURE(to_string(rule.precision()));
      CHECK(alarms == 0);
      ++turn;
    }
  }
}

TEST_CASE("nor on inputs on which a rule was called violated once") {
  struct Alarm {
    const char* rule;
    std::uint64_t seed;
  };
  // Integers that the first two stages turn into entries that are zero but for rounding, whose sign the last
  // one takes; and normalized rows whose squares sum up to the same number at all inputs that are a few
  // roundings away.
  const std::vector<Alarm> alarms{{"nested stages", 61}, {"P > RowNorm > P > Spectral > P", 381}};
  for (const Alarm& alarm : alarms) {
    const std::vector<Honest> all = honest_rules();
    const auto honest =
        std::find_if(all.begin(), all.end(), [&](const Honest& one) { return one.rule.name == alarm.rule; });
    REQUIRE(honest != all.end());
    AnyRule in_double_only = honest->rule;
    in_double_only.in_float = {};
    for (const AnyRule& rule : {in_double_only, honest->rule, in_float_only(honest->rule)})
      SYMOPT_CHECK(check_equivariance(honest->group, rule, options_of(alarm.seed, *honest)));
  }
}

}}  // namespace false_alarms_test
