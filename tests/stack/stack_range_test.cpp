// SPDX-License-Identifier: Apache-2.0
// Finite numbers in, finite numbers out: what a step makes of them is finite, or the step is refused and
// nothing has changed.
#include "support/stack_rules.hpp"
#include "support/state_bits.hpp"

#include <symopt/finite.hpp>
#include <symopt/stack/clip.hpp>

#include <doctest/doctest.h>

#include <limits>

namespace stack_range_test { namespace {

using namespace symopt;
using namespace symopt_test;

/// Gradients of a size, up to the largest number and down to the smallest.
template <class Scalar>
std::vector<Scalar> sizes() {
  using Limits = std::numeric_limits<Scalar>;
  const Scalar most = Limits::max(), least = Limits::min();
  return {most,      most / 2,         most / 16, std::sqrt(most),
          Scalar(1), std::sqrt(least), least,     Limits::denorm_min()};
}

/// All entries of that size: alike, with random signs, or the first one alone among ordinary ones.
template <class Scalar>
std::vector<Matrix<Scalar>> patterns(Scalar size, Random& random) {
  const Matrix<Scalar> any = gaussian_block({6, 4}, random).cast<Scalar>();
  std::vector<Matrix<Scalar>> all(3, any);
  all[0].setConstant(size);
  all[1] = any.unaryExpr([size](Scalar x) { return x < 0 ? -size : size; });
  all[2](0, 0) = size;
  return all;
}

template <class Rule>
std::vector<OptimizerOptions> several_options() {
  OptimizerOptions usual = full_options<Rule>(), long_memory = usual, fast = usual;
  fast.learning_rate = 1e36;
  fast.weight_decay = 0;
  if constexpr (StatefulRule<Rule, double>) return {usual, fast};
  long_memory.momentum_convention = MomentumConvention::heavy_ball;
  long_memory.nesterov = false;
  return {usual, long_memory, fast};
}

/// A user's rule that bounds its direction, and does not throw: a stack steps it without copies.
struct ClippedMean {
  template <class Scalar>
  struct State {
    Matrix<Scalar> mean;

    explicit State(Shape shape) : mean(Matrix<Scalar>::Zero(shape.rows, shape.cols)) {}
    void visit(auto&& field) { field("mean", mean); }
  };

  template <class Weights, class Gradient, class Scalar, class Direction>
  void operator()(const Weights&, const Gradient& gradient, State<Scalar>& state,
                  Direction& direction) const noexcept {
    state.mean = Scalar(0.5) * state.mean + Scalar(0.5) * gradient;
    direction = state.mean.cwiseMin(Scalar(1)).cwiseMax(Scalar(-1));
  }
  template <class Scalar>
  double largest_direction(const State<Scalar>&, double) const {
    return 1;
  }
};

struct Outcome {
  int applied = 0, refused = 0;
};

/// `step` applies or throws; `bits` is all that it may change. Looking at a state makes a step look at it
/// anew, so it is done in every other run.
template <class Scalar>
Outcome run(const std::vector<Matrix<Scalar>>& series, const Matrix<Scalar>& weights, bool looks,
            const auto& step, const auto& bits) {
  Outcome outcome;
  for (const Matrix<Scalar>& gradient : series) {
    const Matrix<Scalar> before = weights;
    const std::string state = looks ? bits() : "";
    try {
      step(gradient);
      ++outcome.applied;
    } catch (const NonFiniteGradient&) {
      ++outcome.refused;
      CHECK(same_bits(weights, before));
      if (looks) CHECK(bits() == state);
    }
    CHECK(symopt::detail::all_entries_finite(weights));
  }
  return outcome;
}

template <class Rule, class Scalar>
void check_range() {
  Random random(default_seed);
  const Matrix<Scalar> start = gaussian_block({6, 4}, random).cast<Scalar>();
  const Matrix<Scalar> ordinary = gaussian_block({6, 4}, random).cast<Scalar>();
  for (const OptimizerOptions& options : several_options<Rule>())
    for (const Scalar size : sizes<Scalar>())
      for (const Matrix<Scalar>& pattern : patterns(size, random))
        for (const bool looks : {false, true}) {
          CAPTURE(type_name<Rule>());
          CAPTURE(size);
          CAPTURE(pattern);
          CAPTURE(symopt::to_string(options.momentum_convention));
          CAPTURE(options.learning_rate);
          std::vector<Matrix<Scalar>> series(8, pattern);
          series.insert(series.end(), {-pattern, -pattern, ordinary, ordinary});
          Matrix<Scalar> weights = start;
          Optimizer<Rule, Scalar> one(6, 4, options);
          const Outcome alone = run(
              series, weights, looks,
              [&](const auto& gradient) {
                const bool is_applied = one.step(weights, gradient).applied;
                CHECK(is_applied);
              },
              [&] { return state_bits(one); });
          CHECK(one.steps() == alone.applied);

          Matrix<Scalar> in_stack = start, other = start, gradient = ordinary, of_other = ordinary;
          BasicLayerwiseOptimizer<Scalar> stack;
          stack.template add<Sign>("other", other, of_other, {.learning_rate = 0.1});
          stack.template add<Rule>("one", in_stack, gradient, options);
          const Outcome stacked = run(
              series, in_stack, looks,
              [&](const auto& next) {
                gradient = next;
                const Matrix<Scalar> before = other;
                try {
                  const bool is_applied = stack.step().applied;  // CHECK would catch
                  CHECK(is_applied);
                } catch (...) {
                  CHECK(same_bits(other, before));
                  throw;
                }
              },
              [&] { return state_bits(stack); });
          CHECK(stack.steps() == stacked.applied);
          CHECK(stacked.applied == alone.applied);
          CHECK(same_bits(in_stack, weights));
          const bool is_ordinary = static_cast<double>(size) < 1e9 && options.learning_rate < 1;
          if (is_ordinary) CHECK(alone.refused == 0);
        }
}

TEST_CASE_TEMPLATE("finite in, finite out, or refused with nothing changed: polar factors", Rule,
                   DerivedPolar, DualPolar, PolarOfHeads, RowsThenPolar, RouterPolar) {
  check_range<Rule, double>();
}
TEST_CASE_TEMPLATE("finite in, finite out, or refused with nothing changed: norms, signs, a user's", Rule,
                   DerivedRows, DerivedHead, DerivedColumns, Sign, Lopsided, BentNeurons) {
  check_range<Rule, double>();
}
TEST_CASE_TEMPLATE("finite in, finite out, or refused with nothing changed: rules with a state", Rule, AdamW,
                   SumUnderShift, AdaptiveEntries, AdaptiveRows, AdaptiveHead, AdaptiveColumns, AdaptiveBlock,
                   AdaptiveOneSided, AdaptiveHeads, ClippedMean) {
  check_range<Rule, double>();
}
TEST_CASE_TEMPLATE("finite in, finite out, or refused with nothing changed: in float", Rule, DerivedHead,
                   DerivedPolar, Lopsided, AdamW, AdaptiveHead, AdaptiveOneSided, Sign) {
  check_range<Rule, float>();
}

}}  // namespace stack_range_test
