// SPDX-License-Identifier: Apache-2.0
// Whole optimizers with all that they do around a rule: twin runs, one from the weights W with gradients G,
// the other from g W with g G, stay related by g.
#include "support/error.hpp"
#include "support/group_list.hpp"

#include <symopt/check/laws/trajectory.hpp>
#include <symopt/symopt.hpp>

#include <doctest/doctest.h>

#include <symopt/check/doctest.hpp>

namespace trajectory_test { namespace {

using namespace symopt_test;
using check::check_trajectory;
using check::Verdict;

template <class Rule, class Scalar = double>
auto factory(const OptimizerOptions& options, const Rule& rule = {}) {
  return [=](Shape shape) { return Optimizer<Rule, Scalar>(shape.rows, shape.cols, options, rule); };
}

constexpr bool has_shift(const Families& families) {
  return families.left.translations || families.right.translations;
}

/// Momentum, decay, scale: everything that the options can say.
std::vector<OptimizerOptions> options_for(const Families& families) {
  const Decay decay = has_shift(families) ? Decay::horizontal : Decay::all;
  return {
      {.learning_rate = 0.1},
      {.learning_rate = 0.1, .nesterov = true, .weight_decay = 0.1, .decay = decay, .scale = Scale::aspect},
      {.learning_rate = 0.1, .momentum_convention = MomentumConvention::heavy_ball}};
}

template <class Group, class Rule, class Scalar = double>
void check_twins() {
  CAPTURE(type_name<Group>());
  int steps = 40;  // the other options for a third of it, which is what they cost
  for (const OptimizerOptions& options : options_for(families_of<Group>)) {
    INFO(options);
    SYMOPT_CHECK(check_trajectory<Group>(factory<Rule, Scalar>(options), {.steps = steps, .trials = 12}));
    steps = 13;
  }
}

TEST_CASE_TEMPLATE_DEFINE("runs from starts related by the group stay related", G, trajectories) {
  check_twins<G, Update<G>>();
}
using Groups =
    join_t<ParameterClasses, std::tuple<Product<HeadRotations<Side::left, 3>, RightOrthogonal>,
                                        Product<RowPermutation, ColumnPermutation, SharedShift, ColumnShift>,
                                        Product<CyclicRows, RightOrthogonal, SharedShift>>>;
TEST_CASE_TEMPLATE_APPLY(trajectories, Groups);

TEST_CASE("runs in float stay related up to rounding") {
  check_twins<LmHead, Update<LmHead>, float>();
  check_twins<HiddenMatrix, Update<HiddenMatrix>, float>();
}

TEST_CASE("hybrids of a head stay related") {
  check_twins<LmHead, Update<LmHead, Then<RowNorm, DualNorm<Spectral<>>>>>();
  check_twins<Router, Update<Router, Then<DualNorm<LeftSpectral<>>, RowNorm>>>();
}

TEST_CASE("runs that are not brought together again after each step stay related too") {
  SYMOPT_CHECK(check_trajectory<LmHead>(factory<Update<LmHead>>({.learning_rate = 0.1}),
                                        {.steps = 20, .trials = 12, .free_running = true}));
}

}}  // namespace trajectory_test
