// SPDX-License-Identifier: Apache-2.0
// How the outcomes of trials become a verdict, whatever the law.
#include <symopt/check/trials.hpp>

#include <doctest/doctest.h>

#include <symopt/check/doctest.hpp>

#include <cstdlib>
#include <limits>
#include <string>
#include <utility>

namespace trials_test { namespace {

using namespace symopt::check;
using detail::Failure;
using detail::Outcome;
using detail::Trials;

Trials some_trials() {
  return Trials({.law = "law", .rule = "rule", .group = "group", .precision = "double", .seed = 7});
}

Outcome violation(double error, double relative, const std::string& reason) {
  Outcome outcome;
  outcome.error = error;
  outcome.relative = relative;
  outcome.failure = [reason] { return Failure{.reason = reason}; };
  return outcome;
}

Outcome ill_posed() {
  Outcome outcome;
  outcome.is_ill_posed = true;
  return outcome;
}

TEST_CASE("well-posed trials up to an error of 1 hold") {
  Trials trials = some_trials();
  for (const double error : {0.5, 1.0, 0.0}) trials.add({"trial", "gaussian"}, {.error = error});
  const Report report = std::move(trials).conclude();
  SYMOPT_CHECK(report);
  CHECK(report.trials == 3);
  CHECK(report.worst == 1);
  CHECK(report.errors == std::vector<double>{0, 0.5, 1});
  CHECK(report.reproduce == "SYMOPT_REPRODUCE=\"law|rule|group|seed=7\"");
}

TEST_CASE("nothing tried, an output that never varies and elements that move nothing are vacuous") {
  SYMOPT_CHECK_VERDICT(Verdict::vacuous, some_trials().conclude());
  Trials constant = some_trials(), unmoved = some_trials();
  for (int k = 0; k < 2; ++k) {
    constant.add({}, {.has_varied = false});
    unmoved.add({}, {.has_moved = false});
  }
  const Report of_constant = std::move(constant).conclude(), of_unmoved = std::move(unmoved).conclude();
  SYMOPT_CHECK_VERDICT(Verdict::vacuous, of_constant);
  CHECK(of_constant.reason == "the rule's output is the same for every input");
  SYMOPT_CHECK_VERDICT(Verdict::vacuous, of_unmoved);
  CHECK(of_unmoved.reason == "no element of the group moved any input");
}

TEST_CASE("more ill-posed trials than others are inconclusive, as many are not") {
  Trials trials = some_trials();
  trials.add({"1", "rank-1"}, ill_posed());
  trials.add({"2", "gaussian"}, {});
  SYMOPT_CHECK(std::move(trials).conclude());
  trials = some_trials();
  trials.add({"1", "ones"}, ill_posed());
  for (const char* id : {"2", "3"}) trials.add({id, "rank-1"}, ill_posed());
  trials.add({"4", "gaussian"}, {});
  const Report report = std::move(trials).conclude();
  SYMOPT_CHECK_VERDICT(Verdict::inconclusive, report);
  CHECK(report.ill_posed == 3);
  CHECK(report.reason.find("in 3 of 4 trials, most of them on 'rank-1'") != std::string::npos);
}

TEST_CASE("the first clear failure is shown, and of slight ones the first") {
  Trials trials = some_trials();
  trials.add({"first"}, violation(2, 1e-3, "slight"));
  trials.add({"second"}, violation(3, 2e-3, "slight too"));
  const Report slight = std::move(trials).conclude();
  SYMOPT_CHECK_VERDICT(Verdict::violated, slight);
  CHECK(slight.reason == "slight");
  trials = some_trials();
  trials.add({"first"}, violation(2, 1e-3, "slight"));
  trials.add({"second"}, violation(3, 0.5, "clear"));
  trials.add({"third"}, violation(4, 0.9, "clear too"));
  const Report clear = std::move(trials).conclude();
  CHECK(clear.reason == "clear");
  CHECK(clear.reproduce == "SYMOPT_REPRODUCE=\"law|rule|group|seed=7 second\"");
  CHECK(clear.worst == 4);
}

TEST_CASE("what is not a number or not finite is a violation, though all others are ill-posed") {
  for (const bool is_finite : {true, false}) {
    Trials trials = some_trials();
    for (int k = 0; k < 5; ++k) trials.add({"ill-posed", "ones"}, ill_posed());
    Outcome outcome = violation(std::numeric_limits<double>::quiet_NaN(), 0, "bad");
    outcome.is_finite = is_finite;
    trials.add({"bad", "gaussian"}, outcome);
    const Report report = std::move(trials).conclude();
    SYMOPT_CHECK_VERDICT(Verdict::violated, report);
    CHECK(report.worst == std::numeric_limits<double>::infinity());
  }
}

TEST_CASE("a line of the environment asks for one trial, with its seed") {
  ::setenv("SYMOPT_REPRODUCE", "law|rule|group|seed=9 second", 1);
  Trials trials = some_trials();
  ::unsetenv("SYMOPT_REPRODUCE");
  CHECK(trials.seed() == 9);
  CHECK(trials.wants("second"));
  CHECK_FALSE(trials.wants("first"));
  // One trial shows no variation.
  trials.add({"second"}, {.has_varied = false});
  const Report report = std::move(trials).conclude();
  SYMOPT_CHECK(report);
  CHECK(report.reason == "that trial does; only the one of SYMOPT_REPRODUCE was run");
}

}}  // namespace trials_test
