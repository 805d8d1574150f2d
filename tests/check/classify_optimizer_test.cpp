// SPDX-License-Identifier: Apache-2.0
// The largest group, E, H, I and the degree of whole optimizers: where a state matters, trajectories tell
// what one gradient, repeated, does not.
#include <symopt/check/laws/classify.hpp>
#include <symopt/check/laws/classify_optimizer.hpp>
#include <symopt/symopt.hpp>

#include <doctest/doctest.h>

#include <symopt/check/doctest.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <sstream>
#include <string>

namespace classify_optimizer_test { namespace {

using namespace symopt;
using namespace symopt::check;

std::string yes_or_no(Verdict verdict) {
  return verdict == Verdict::holds ? "y" : verdict == Verdict::violated ? "n" : to_string(verdict);
}

/// "B | O, E y H n I n, degree 0"
std::string row_of(const Classification& row) {
  std::string text = row.group() + ", E " + yes_or_no(row.equivariant) + " H " + yes_or_no(row.horizontal) +
                     " I " + yes_or_no(row.shift_invariant);
  if (!row.degree) return text;
  std::ostringstream degree;
  degree << *row.degree;
  return text + ", degree " + degree.str();
}

const OptimizerOptions plain{.learning_rate = 0.1};

template <class Rule>
auto factory_of(const OptimizerOptions& options, const Rule& rule = {}) {
  return [=](Shape shape) { return Optimizer<Rule, double>(shape.rows, shape.cols, options, rule); };
}

template <class Rule>
Classification classified(const OptimizerOptions& options = plain, const Rule& rule = {}) {
  return classify_optimizer(factory_of(options, rule),
                            {.seed = 7, .steps = 6, .trials = 4, .shapes = {{2, 2}, {3, 2}, {3, 4}}});
}

TEST_CASE("the rows of the library's own optimizers are those of their rules") {
  CHECK(row_of(classified<Identity>()) == "O | O, E y H y I n, degree 1");
  CHECK(row_of(classified<AdamW>()) == "B | B, E y H n I n");
  CHECK(row_of(classified<Update<Embedding, RowNorm>>(
            plain, Update<Embedding, RowNorm>{RowNorm{.eps = 0}})) == "B | O, E y H n I n, degree 0");
  CHECK(row_of(classified<Update<LmHead>>()) == "+-S | O, E y H y I y");
  CHECK(row_of(classified<Adaptive<Embedding>>()) == "B | O, E y H n I n");
}

TEST_CASE("a small rate, whose steps the weights round, loses no degree") {
  CHECK(row_of(classified<Identity>({.learning_rate = 1e-6})) == "O | O, E y H y I n, degree 1");
}

TEST_CASE("a head of one row never moves: what the weights round there is no violation") {
  const OptimizerOptions horizontal{.learning_rate = 0.1, .weight_decay = 0.5, .decay = Decay::horizontal};
  const auto head = factory_of<Update<LmHead>>(horizontal);
  SYMOPT_CHECK(
      check_equivariance<SharedShift>(head, {.seed = 7, .trials = 8, .shapes = {{1, 3}, {3, 4}, {4, 3}}}));
}

TEST_CASE("heads are tried where the optimizer has some, and shapes are chosen where none are given") {
  const auto heads = factory_of<PerHead<Side::left, 2, FrobeniusNorm>>(plain);
  const Classification row =
      classify_optimizer(heads, {.seed = 7, .steps = 4, .trials = 4, .shapes = {{4, 2}, {4, 3}}}, 2);
  CHECK(row_of(row) == "R_2 | O, E y H n I n, degree 0");
  CHECK(row_of(classify_optimizer(factory_of<Sign>(plain), {.seed = 7, .steps = 4, .trials = 4})) ==
        "B | B, E y H n I n, degree 0");
}

TEST_CASE("decay counts: it does not move with a shift, and adds a term of degree 0") {
  OptimizerOptions decaying = plain;
  decaying.weight_decay = 0.5;
  CHECK(row_of(classified<Identity>(decaying)) == "O | O, E n H n I n");
  CHECK(row_of(classified<FrobeniusNorm>(decaying)) == "O | O, E n H n I n, degree 0");
  decaying.decay = Decay::horizontal;
  CHECK(row_of(classified<Update<LmHead>>(decaying)) == "+-S | O, E y H y I y");
}

/// The gradient over the squares of its differences from the first, entry by entry: nothing of that shows
/// while the gradient stays.
struct FarFromFirst {
  template <class Scalar>
  struct State {
    explicit State(Shape shape) : steps(0), squares(Matrix<Scalar>::Zero(shape.rows, shape.cols)) {}
    int steps;
    Matrix<Scalar> first, squares;
  };
  template <class Scalar>
  void operator()(const auto&, const auto& gradient, State<Scalar>& state, auto& direction) const {
    if (state.steps++ == 0) state.first = gradient;
    state.squares += (gradient - state.first).cwiseAbs2();
    direction = gradient.array() / (1 + state.squares.array());
  }
};

TEST_CASE("a state that one repeated gradient hides") {
  CHECK(classify(FarFromFirst{}, {.trials = 8}).group() == "O | O");
  const Classification row = classified<FarFromFirst>();
  CHECK(row_of(row) == "B | B, E y H n I n");
  std::ostringstream text;
  text << row;
  INFO(text.str());
  CHECK(text.str().find(": B | B, in trajectories of 6 steps\n  using largest_group = "
                        "Product<SignedRowPermutation, SignedColumnPermutation>;\n") != std::string::npos);
  CHECK(text.str().find("\n  not homogeneous\n  not left rotations: left rotation (0,1) by ") !=
        std::string::npos);
}

/// The gradient in the first three steps, then its signs.
struct LateSign {
  template <class Scalar>
  struct State {
    int steps = 0;
  };
  template <class Scalar>
  void operator()(const auto&, const auto& gradient, State<Scalar>& state, auto& direction) const {
    direction = state.steps++ < 3 ? Matrix<Scalar>(gradient) : Matrix<Scalar>(gradient.cwiseSign());
  }
};

/// The report on left rotations in trajectories.
Report under_left_rotations(const Classification& row) {
  const auto is_it = [](const Report& report) {
    return report.group == "left rotations" && report.law == "equivariance in a trajectory";
  };
  const auto found = std::find_if(row.reports.begin(), row.reports.end(), is_it);
  REQUIRE(found != row.reports.end());
  return *found;
}

TEST_CASE("what begins late is found, and its line repeats it alone") {
  const Classification row = classified<LateSign>();
  CHECK(row_of(row) == "B | B, E y H n I n");
  const Report report = under_left_rotations(row);
  SYMOPT_CHECK_VERDICT(Verdict::violated, report);
  for (const char* early : {"step 1:", "step 2:", "step 3:"})
    CHECK(report.reason.find(early) == std::string::npos);

  const std::string& line = report.reproduce;  // SYMOPT_REPRODUCE="law|rule|group|seed=7 trial"
  const std::size_t begin = line.find('"') + 1;
  ::setenv("SYMOPT_REPRODUCE", line.substr(begin, line.size() - begin - 1).c_str(), 1);
  const Report again = under_left_rotations(classified<LateSign>());
  ::unsetenv("SYMOPT_REPRODUCE");
  CHECK(again.verdict == Verdict::violated);
  CHECK(again.reason == report.reason);
  CHECK(again.trials <= 6);
  CHECK(report.trials > 6);
}

TEST_CASE("an optimizer that stands still is vacuous, one for float is classified in float") {
  CHECK(classified<Identity>({.learning_rate = 0}).group() == "vacuous");
  struct InFloat {
    void step(Matrix<float>& weights, const Matrix<float>& gradient) { weights -= gradient.cwiseSign(); }
  };
  const Classification row =
      classify_optimizer([](Shape) { return InFloat{}; }, {.steps = 6, .trials = 8, .name = "signs"});
  CHECK(row_of(row) == "B | B, E y H n I n, degree 0");
  CHECK(row.rule == "signs");
}

TEST_CASE("the kinds of gradients are chosen by name") {
  const auto factory = factory_of<Identity>(plain);
  const Report report = check_trajectory<LeftOrthogonal>(
      factory, {.steps = 3, .trials = 4, .inputs = {"gaussian", "outlier", "ones"}});
  SYMOPT_CHECK(report);
  REQUIRE(report.inputs.size() == 3);
  CHECK(report.inputs[0].input == "gaussian");
  CHECK_THROWS_AS(check_trajectory<LeftOrthogonal>(factory, {.inputs = {"gausian"}}), Error);
}

}}  // namespace classify_optimizer_test
