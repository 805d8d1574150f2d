// SPDX-License-Identifier: Apache-2.0
// Twin runs of whole optimizers: honest ones stay together, and what is wrong with state or weights parts
// them.
#include <symopt/check/laws/trajectory.hpp>
#include <symopt/symopt.hpp>

#include <doctest/doctest.h>

#include <symopt/check/doctest.hpp>

#include <sstream>
#include <string>

namespace check_trajectory_test { namespace {

using namespace symopt;
using namespace symopt::check;

template <class Rule, class Scalar = double>
auto factory(OptimizerOptions options = {.learning_rate = 0.1}, Rule rule = {}) {
  return [=](Shape shape) { return Optimizer<Rule, Scalar>(shape.rows, shape.cols, options, rule); };
}

const OptimizerOptions everything{.learning_rate = 0.1,
                                  .momentum = 0.8,
                                  .momentum_convention = MomentumConvention::heavy_ball,
                                  .nesterov = true,
                                  .weight_decay = 0.3,
                                  .scale = Scale::aspect};

TEST_CASE("derived optimizers stay with their twins, in both precisions, synchronised or free") {
  SYMOPT_CHECK(check_trajectory<Embedding>(factory<Update<Embedding>>(everything)));
  SYMOPT_CHECK(check_trajectory<HiddenMatrix>(factory<Update<HiddenMatrix>>(everything)));
  SYMOPT_CHECK(check_trajectory<SwigluOutput>(factory<Update<SwigluOutput>>(everything)));
  SYMOPT_CHECK(check_trajectory<Embedding>(factory<Update<Embedding>, float>(everything)));
  SYMOPT_CHECK(check_trajectory<LmHead>(factory<Update<LmHead>>()));
  SYMOPT_CHECK(check_trajectory<Embedding>(factory<Update<Embedding>>(everything),
                                           {.steps = 50, .free_running = true}));
  OptimizerOptions horizontal = everything;
  horizontal.decay = Decay::horizontal;
  SYMOPT_CHECK(check_trajectory<LmHead>(factory<Update<LmHead>>(horizontal)));
}

TEST_CASE("AdamW holds under signed permutations and not under rotations") {
  using Signed = Product<SignedRowPermutation, SignedColumnPermutation>;
  SYMOPT_CHECK(check_trajectory<Signed>(factory<AdamW>()));
  const Report report = check_trajectory<RightOrthogonal>(factory<AdamW>());
  SYMOPT_CHECK_VERDICT(Verdict::violated, report);
  CHECK(report.counterexample->element.find("right rotation") != std::string::npos);
}

TEST_CASE("decay that is not horizontal is caught under a shift") {
  SYMOPT_CHECK_VERDICT(Verdict::violated, check_trajectory<LmHead>(factory<Update<LmHead>>(everything)));
}

/// Keeps a basis that starts at the identity, whatever the gradients: its start is not fixed by rotations.
struct FixedBasis {
  template <class Scalar>
  struct State {
    explicit State(Shape shape) : basis(Matrix<Scalar>::Identity(shape.cols, shape.cols)) {}
    Matrix<Scalar> basis;
  };
  template <class W, class G, class Scalar, class D>
  void operator()(const W&, const G& gradient, State<Scalar>& state, D& direction) const {
    state.basis = Scalar(0.9) * state.basis + Scalar(0.1) * (gradient.transpose() * gradient);
    direction = (gradient * state.basis).cwiseSign() * state.basis.transpose();
  }
};

/// Right in its first step; then a momentum that starts at ones shows.
struct MomentumFromOnes {
  template <class Scalar>
  struct State {
    explicit State(Shape shape) : momentum(Matrix<Scalar>::Ones(shape.rows, shape.cols)) {}
    Matrix<Scalar> momentum;
    int steps = 0;
  };
  template <class W, class G, class Scalar, class D>
  void operator()(const W&, const G& gradient, State<Scalar>& state, D& direction) const {
    direction = state.steps++ == 0 ? Matrix<Scalar>(gradient) : Matrix<Scalar>(state.momentum + gradient);
  }
};

TEST_CASE("a state whose start the group moves is caught, also when it shows late") {
  SYMOPT_CHECK_VERDICT(Verdict::violated, check_trajectory<RightOrthogonal>(factory<FixedBasis>()));
  const Report late = check_trajectory<RightOrthogonal>(factory<MomentumFromOnes>());
  SYMOPT_CHECK_VERDICT(Verdict::violated, late);
  CHECK(late.reason.find("step 2") != std::string::npos);
  SYMOPT_CHECK(check_trajectory<RowPermutation>(factory<MomentumFromOnes>()));
}

TEST_CASE("an optimizer that does not move, or a group that moves nothing, is vacuous") {
  SYMOPT_CHECK_VERDICT(Verdict::vacuous,
                       check_trajectory<Embedding>(factory<Update<Embedding>>({.learning_rate = 0})));
  SYMOPT_CHECK_VERDICT(Verdict::vacuous, check_trajectory<Trivial>(factory<Update<Embedding>>()));
}

/// Somebody else's optimizer, for float, made from rows and columns.
struct Plain {
  void step(Matrix<float>& weights, const Matrix<float>& gradient) { weights -= 0.1F * gradient; }
};

TEST_CASE("any object with a step is an optimizer") {
  const auto plain = [](Index, Index) { return Plain{}; };
  const Report report = check_trajectory<HiddenMatrix>(plain);
  SYMOPT_CHECK(report);
  CHECK(report.precision == "float");
  CHECK(report.rule == "Plain");
}

TEST_CASE("steps, trials, seed and shapes change what is tried") {
  const auto trials = [&](TrajectoryOptions options) {
    return check_trajectory<RowPermutation>(factory<Update<Embedding>>(), options).trials;
  };
  CHECK(trials({.steps = 6}) < trials({.steps = 12}));
  CHECK(trials({.trials = 8}) < trials({.trials = 32}));
  CHECK(trials({.shapes = {{4, 3}}}) < trials({}));
  const auto errors = [&](std::uint64_t seed) {
    return check_trajectory<HiddenMatrix>(factory<Update<HiddenMatrix>>(), {.seed = seed}).errors;
  };
  CHECK(errors(3) == errors(3));
  CHECK(errors(3) != errors(4));
}

}}  // namespace check_trajectory_test
