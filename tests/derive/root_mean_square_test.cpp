// SPDX-License-Identifier: Apache-2.0
// The nominal size of directions, by which Scale::match_rms makes one rate serve all rules.
#include "support/all_rules.hpp"
#include "support/all_updates.hpp"
#include "support/inputs.hpp"

#include <symopt/derive/dual_norm.hpp>
#include <symopt/frame/frame_average.hpp>
#include <symopt/group/head_rotations.hpp>
#include <symopt/group/named_groups.hpp>
#include <symopt/normalization/column_norm.hpp>
#include <symopt/normalization/frobenius_norm.hpp>
#include <symopt/normalization/identity.hpp>
#include <symopt/normalization/per_head.hpp>
#include <symopt/normalization/sign.hpp>
#include <symopt/optimizer/adamw.hpp>
#include <symopt/optimizer/adaptive.hpp>
#include <symopt/optimizer/optimizer.hpp>

#include <doctest/doctest.h>

#include <cmath>
#include <random>
#include <set>
#include <string>
#include <vector>

namespace root_mean_square_test { namespace {

using namespace symopt_test;
using namespace symopt;
using symopt::detail::root_mean_square_of;
using symopt::detail::scale_factor_of;

const std::vector<Shape> shapes{{24, 36}, {36, 24}, {30, 30}, {24, 96}, {96, 24}};

double measured(const Matrix<double>& block) {
  return std::sqrt(block.squaredNorm() / static_cast<double>(block.size()));
}

TEST_CASE("the nominal size of every shipped map is that of its output for Gaussian blocks") {
  CAPTURE(default_seed);
  Random random(default_seed);
  std::set<std::string> without;
  std::size_t compared = 0;
  for (const auto* rules : {&elementary_rules(), &spectral_rules(), &composed_rules()})
    for (const NamedRule& rule : *rules) {
      if (!rule.root_mean_square) {
        without.insert(rule.name);
        continue;
      }
      if (rule.name.find("DualNorm") != std::string::npos || rule.name == "three stages") continue;
      const bool is_in_a_wide_band =
          rule.name.find("NewtonSchulz") != std::string::npos || rule.name.find("Muon") != std::string::npos;
      for (const Shape shape : shapes) {
        CAPTURE(rule.name);
        CAPTURE(shape.rows);
        CAPTURE(shape.cols);
        const double ratio = measured(rule(gaussian_block(shape, random))) / rule.root_mean_square(shape);
        CHECK(ratio == doctest::Approx(1).epsilon(is_in_a_wide_band ? 0.25 : 0.04));
        ++compared;
      }
    }
  CHECK(compared > 150);
  const std::set<std::string> expected{"Identity", "no projection", "left projection", "right projection",
                                       "both projections"};
  CHECK(without == expected);
}

TEST_CASE("the nominal size of every derived update is that of its direction for Gaussian gradients") {
  CAPTURE(default_seed);
  Random random(default_seed);
  std::size_t compared = 0;
  for (const DefaultUpdate& update : default_updates()) {
    if (update.root_mean_square == nullptr) continue;
    ++compared;
    for (const Shape shape : shapes) {
      CAPTURE(update.group.name);
      CAPTURE(shape.rows);
      CAPTURE(shape.cols);
      const Matrix<double> gradient = gaussian_block(shape, random);
      const double ratio =
          measured(update.in_double.in_double(gradient, gradient)) / update.root_mean_square(shape);
      CHECK(ratio == doctest::Approx(1).epsilon(0.04));
    }
  }
  CHECK(compared > 20);
}

TEST_CASE("sizes are those of the formulas") {
  const auto is = [](const auto& rule, Shape shape, double expected) {
    CHECK(root_mean_square_of(rule, shape) == doctest::Approx(expected).epsilon(1e-14));
  };
  is(RowNorm{}, {6, 16}, 1.0 / 4);
  is(ColumnNorm{}, {16, 6}, 1.0 / 4);
  is(FrobeniusNorm{}, {4, 9}, 1.0 / 6);
  is(Sign{}, {4, 9}, 1);
  is(AdamW{}, {4, 9}, 0.2);
  is(Adaptive<LmHead>{}, {4, 9}, 0.2);
  is(Adaptive<HiddenMatrix>{}, {4, 9}, 0.2);
  is(Spectral<>{}, {4, 9}, 1.0 / 3);
  is(LeftSpectral<>{}, {9, 4}, 1.0 / 3);
  is(HeadSpectral<Side::left, 2>{}, {8, 16}, 1.0 / 4);
  is(HeadSpectral<Side::left, 4>{}, {8, 2}, std::sqrt(4.0 / 16));
  is(HeadSpectral<Side::right, 2>{}, {16, 8}, 1.0 / 4);
  is(PerHead<Side::left, 2, ColumnNorm>{}, {8, 16}, 1 / std::sqrt(2.0));
  is(PerHead<Side::right, 4, RowNorm>{}, {8, 16}, 1.0 / 2);
  is(DualNorm<Spectral<>>{}, {4, 9}, 1.0 / 3);
  is(Then<Spectral<>, RowNorm>{}, {6, 16}, 1.0 / 4);
  is(Then<RowNorm, Spectral<>>{}, {4, 9}, 1.0 / 3);
  // The mean row is one dimension of the rows less.
  is(Update<LmHead>{}, {6, 16}, 1.0 / 4);
  is(Update<LmHead, Then<RowNorm, Spectral<>>>{}, {5, 8}, std::sqrt(4.0 / 40));
  is(Update<LmHead, Then<RowNorm, Spectral<>>>{}, {8, 5}, std::sqrt(5.0 / 40));
  is(Update<Product<LeftOrthogonal, ColumnShift>, Spectral<>>{}, {8, 5}, std::sqrt(4.0 / 40));
  is(FrameAveraged<RightOrthogonal, AdamW>{}, {4, 9}, 0.2);
  is(FrameAveraged<ColumnPermutation, RowNorm>{}, {6, 16}, 1.0 / 4);
}

/// Like Sign, of another size, and it says so.
struct Halves {
  double size = 0.5;
  double root_mean_square(Shape) const { return size; }
  Matrix<double> operator()(const Matrix<double>& block) const { return size * Sign{}(block); }
};
struct Silent {
  Matrix<double> operator()(const Matrix<double>& block) const { return block; }
};

TEST_CASE("match_rms makes the entries of every rule's step 0.2 times the rate") {
  CHECK(scale_factor_of(Halves{}, Scale::match_rms, {3, 4}) == 0.4);
  CHECK(scale_factor_of(AdamW{}, Scale::match_rms, {3, 4}) == 1);
  CHECK(scale_factor_of(Spectral<>{}, Scale::match_rms, {4, 9}) == doctest::Approx(0.6));
  CHECK(scale_factor_of(RowNorm{}, Scale::match_rms, {4, 9}) == doctest::Approx(0.6));
  CHECK(scale_factor_of(RowNorm{}, Scale::match_rms, {9, 4}) == doctest::Approx(0.4));
  // One row that is the mean itself: the direction is zero, whatever the factor.
  CHECK(scale_factor_of(Update<LmHead, Spectral<>>{}, Scale::match_rms, {1, 4}) == 1);

  Random random(default_seed);
  for (const Shape shape : shapes) {
    const auto moved_by = [&]<class Rule>(const Rule& rule) {
      Optimizer<Rule, double> optimizer(
          shape.rows, shape.cols, {.learning_rate = 0.5, .momentum = 0, .scale = Scale::match_rms}, rule);
      Matrix<double> weights = Matrix<double>::Zero(shape.rows, shape.cols);
      optimizer.step(weights, gaussian_block(shape, random));
      return measured(weights);
    };
    for (const double moved :
         {moved_by(RowNorm{}), moved_by(ColumnNorm{}), moved_by(Sign{}), moved_by(Halves{}),
          moved_by(FrobeniusNorm{}), moved_by(Spectral<>{}), moved_by(Update<LmHead>{})})
      CHECK(moved == doctest::Approx(0.5 * 0.2).epsilon(0.04));
  }
}

/// The root mean square of the direction that a rule makes of noise, at last.
template <class Rule>
double of_noise(const Rule& rule, Shape shape) {
  Random random(default_seed);
  Optimizer<Rule, double> optimizer(shape.rows, shape.cols, {.learning_rate = 1}, rule);
  Matrix<double> weights = Matrix<double>::Zero(shape.rows, shape.cols);
  double sum = 0;
  constexpr int steps = 300, last = 100;
  for (int step = 0; step < steps; ++step) {
    weights.setZero();
    optimizer.step(weights, gaussian_block(shape, random));
    if (step >= steps - last) sum += weights.squaredNorm() / static_cast<double>(weights.size()) / last;
  }
  return std::sqrt(sum);
}

TEST_CASE(
    "rules with second moments make directions of noise as large as AdamW's: sqrt((1 - b1) / (1 + b1))") {
  CAPTURE(default_seed);
  using Heads = Product<HeadRotations<Side::left, 8>, RightOrthogonal>;
  for (const Shape shape : {Shape{24, 36}, Shape{32, 8}, Shape{24, 24}})
    for (const double size :
         {of_noise(AdamW{.beta2 = 0.99}, shape), of_noise(Adaptive<Embedding>{}, shape),
          of_noise(Adaptive<HiddenMatrix, moments::Block>{}, shape),
          of_noise(Adaptive<HiddenMatrix>{}, shape), of_noise(Adaptive<Heads>{}, shape)}) {
      CAPTURE(shape.rows);
      CHECK(size == doctest::Approx(std::sqrt(0.1 / 1.9)).epsilon(0.07));
    }
}

TEST_CASE("match_rms is refused for a rule of unknown size, and the error says what to do") {
  CHECK_THROWS_WITH_AS(
      (Optimizer<Silent, double>(3, 4, {.scale = Scale::match_rms, .parameter = "wte"})),
      "symopt: parameter 'wte': Scale::match_rms needs the size of the rule's direction, and this "
      "rule does not state "
      "it; give it a member `double root_mean_square(Shape) const`, or take another scale",
      std::invalid_argument);
  CHECK_THROWS_AS((Optimizer<Update<Embedding, Identity>>(3, 4, {.scale = Scale::match_rms})),
                  std::invalid_argument);
  CHECK_NOTHROW((Optimizer<Silent, double>(3, 4, {.scale = Scale::aspect})));
}

}}  // namespace root_mean_square_test
