// SPDX-License-Identifier: Apache-2.0
// Whole models: symmetries that hold, what breaks each of them in a model, and what is found of optimizers.
#include <symopt/check.hpp>
#include <symopt/derive/update.hpp>
#include <symopt/group/algebra.hpp>
#include <symopt/group/named_groups.hpp>
#include <symopt/optimizer/adamw.hpp>
#include <symopt/optimizer/optimizer.hpp>

#include <doctest/doctest.h>

#include <symopt/check/doctest.hpp>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <memory>
#include <sstream>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "support/small_model.hpp"

namespace model_test { namespace {

using namespace symopt;
using namespace symopt::check;
using symopt_test::GatedModel;
using symopt_test::Parts;
using M = GatedModel<double>;

template <class Scalar>
using Parameters = std::vector<NamedTensor<Scalar>>;

// Symmetries of the model, each by name.
ModelSymmetry rotation() {
  return symmetry("residual rotation")
      .columns("embedding", "layers.*.{gate,up}", "head")
      .rows("layers.*.down")
      .by<Orthogonal>(M::width);
}
ModelSymmetry neurons() {
  return symmetry("neurons").rows("layers.*.{gate,up}").columns("layers.*.down").by<Permutation>(M::neurons);
}
ModelSymmetry scales() {
  return symmetry("scales").rows("layers.*.up").columns("layers.*.down").by<algebra::Diagonal>(M::neurons);
}
ModelSymmetry shift() {
  return symmetry("shift").rows("head").by<Shift>(M::vocabulary);
}
template <class Scalar>
ModelSymmetry vocabulary(GatedModel<Scalar>& model) {
  return symmetry("vocabulary")
      .rows("embedding", "head")
      .data([&model](const ModelElement& g) { model.rename(g.images()); })
      .template by<Permutation>(M::vocabulary);
}
template <class Scalar>
std::vector<ModelSymmetry> all(GatedModel<Scalar>& model) {
  return {rotation(), neurons(), scales(), shift(), vocabulary(model)};
}

/// One optimizer for each parameter, each with its step.
using Steps = std::vector<std::function<void()>>;
template <class Rule, class Scalar>
void add(Steps& steps, const NamedTensor<Scalar>& parameter, OptimizerOptions options) {
  const Shape shape{parameter.weights.sizes().size() == 1 ? 1 : parameter.weights.sizes().front(),
                    parameter.weights.sizes().back()};
  const auto optimizer = std::make_shared<Optimizer<Rule, Scalar>>(shape.rows, shape.cols, options);
  steps.push_back([=] {
    Eigen::Map<Matrix<Scalar>> weights(parameter.weights.data(), shape.rows, shape.cols);
    Eigen::Map<const Matrix<Scalar>> gradient(parameter.gradient->data(), shape.rows, shape.cols);
    optimizer->step(weights, gradient);
  });
}
const auto in_turn = [](Steps steps) {
  return [steps] {
    for (const auto& step : steps) step();
  };
};

/// A factory of stacks with the rules that the classes derive; AdamW for the parameter of this name, and for
/// gains.
template <class Scalar>
auto derived(std::string by_adamw = "", double decay = 0) {
  return [=](const Parameters<Scalar>& parameters) {
    Steps steps;
    for (const NamedTensor<Scalar>& parameter : parameters) {
      const OptimizerOptions options{.learning_rate = 0.02, .weight_decay = decay};
      const std::string& name = parameter.name;
      if (name == by_adamw || name == "layers.0.gain") {
        add<AdamW>(steps, parameter, options);
      } else if (name == "head") {
        add<Update<LmHead>>(steps, parameter, options);
      } else if (name == "layers.0.down") {
        add<Update<SwigluOutput>>(steps, parameter, options);
      } else {
        add<Update<Embedding>>(steps, parameter, options);
      }
    }
    return in_turn(steps);
  };
}
template <class Scalar>
auto adamw() {
  return [](const Parameters<Scalar>& parameters) {
    Steps steps;
    for (const auto& parameter : parameters) add<AdamW>(steps, parameter, {.learning_rate = 0.02});
    return in_turn(steps);
  };
}

std::vector<std::string> names(const std::vector<ParameterGap>& gaps) {
  std::vector<std::string> list;
  for (const ParameterGap& gap : gaps) list.push_back(gap.name);
  std::sort(list.begin(), list.end());
  return list;
}
bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST_CASE_TEMPLATE("the symmetries of a model hold, and derived updates keep those of their groups", Scalar,
                   double, float) {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    GatedModel<Scalar> model({.has_zero_down = seed % 2 == 0}, seed);
    const auto checked = model.checked();
    const std::vector<ModelSymmetry> kept{rotation(), neurons(), shift(), vocabulary(model)};
    SYMOPT_CHECK(check_model(checked, kept, derived<Scalar>(), {.seed = seed, .steps = 12}));
    SYMOPT_CHECK(check_model(checked, all(model)));  // scales are one, whatever the optimizer
    // AdamW keeps what permutes.
    SYMOPT_CHECK(check_model(checked, {neurons(), vocabulary(model), shift()}, adamw<Scalar>(),
                             {.seed = seed, .steps = 12}));
  }
}

TEST_CASE_TEMPLATE("AdamW parts twins that a rotation or a scale turns into each other", Scalar, double,
                   float) {
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    GatedModel<Scalar> model({}, seed);
    const ModelReport report =
        check_model(model.checked(), {rotation(), scales()}, adamw<Scalar>(), {.seed = seed, .steps = 12});
    SYMOPT_CHECK_VERDICT(Verdict::violated, report);
    for (const SymmetryReport& symmetry : report.symmetries) {
      const TwinReport& twins = symmetry.trainings.front();
      CHECK(symmetry.verdict == Verdict::violated);
      CHECK(twins.weights_leave == 1);
      CHECK(twins.losses_part == 1);
      CHECK(symmetry.trajectory_gap > 1e-3);
      CHECK(twins.gaps.size() == 13);
    }
    CHECK(report.symmetries[0].trainings.front().left_first.size() == 5);
    CHECK(names(report.symmetries[1].trainings.front().left_first) ==
          std::vector<std::string>{"layers.0.down", "layers.0.up"});
  }
}

TEST_CASE("one AdamW too many is named, and what it is not asked for is not") {
  M model;
  for (const std::string culprit : {"embedding", "layers.0.gate", "layers.0.down", "head"}) {
    const ModelReport report =
        check_model(model.checked(), {rotation(), neurons()},
                    {{"as derived", derived<double>()}, {"liar", derived<double>(culprit)}});
    const TwinReport& liar = report.symmetries[0].trainings[1];
    CHECK(report.verdict == Verdict::violated);
    CHECK(report.symmetries[0].trainings[0].verdict == Verdict::holds);
    CHECK(liar.verdict == Verdict::violated);
    CHECK(liar.weights_leave == 1);
    CHECK(names(liar.left_first) == std::vector<std::string>{culprit});
    CHECK(has(report.reason, "'" + culprit + "'"));
    CHECK(has(report.reason, "liar"));
    CHECK(report.symmetries[1].verdict == Verdict::holds);
  }
}

TEST_CASE("decay moves what a shift adds, which the losses do not show") {
  M model;
  const ModelReport report = check_model(model.checked(), {shift()}, derived<double>("", 0.5), {.steps = 12});
  const TwinReport& twins = report.symmetries[0].trainings[0];
  CHECK(twins.verdict == Verdict::violated);
  CHECK(twins.losses_part == 0);
  CHECK(names(twins.left_first) == std::vector<std::string>{"head"});
  CHECK(has(twins.reason, "the losses do not show it"));
}

TEST_CASE_TEMPLATE("a shift that makes rounding larger in one twin parts no losses", Scalar, double, float) {
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    GatedModel<Scalar> model({}, seed);
    model.weights("head") *= Scalar(1e-3);  // the shift is a thousand times as large
    const ModelReport report =
        check_model(model.checked(), {shift()},
                    {{"AdamW", adamw<Scalar>()}, {"with decay", derived<Scalar>("head", 0.5)}},
                    {.seed = seed, .steps = 60});
    CHECK(report.symmetries[0].trainings[0].losses_part == 0);
    CHECK(report.symmetries[0].trainings[1].losses_part == 0);
    CHECK(report.symmetries[0].trainings[0].verdict != Verdict::violated);
  }
}

TEST_CASE("a gain that was forgotten is named by its gradient") {
  M model({.has_gain = true});
  const ModelReport report = check_model(model.checked(), {rotation()}, derived<double>());
  const SymmetryReport& found = report.symmetries.front();
  CHECK(found.verdict == Verdict::violated);
  CHECK(names(found.gradients) == std::vector<std::string>{"layers.0.gain"});
  CHECK(has(found.reason, "at these weights"));
  CHECK(found.trainings.empty());
  // A permutation of the stream takes the gain along, and it can be told that it should.
  const auto permuted = [] {
    return symmetry("order of the stream")
        .columns("embedding", "layers.*.{gate,up}", "head")
        .rows("layers.*.down")
        .by<Permutation>(M::width);
  };
  CHECK(names(check_model(model.checked(), {permuted()}).symmetries.front().gradients) ==
        std::vector<std::string>{"layers.0.gain"});
  SYMOPT_CHECK(check_model(model.checked(), {permuted().columns("layers.*.gain")}, derived<double>()));
}

TEST_CASE("a gain that is not one is no symmetry of the loss, and the change of the list is found") {
  M model({.has_gain = true});
  model.weights("layers.0.gain")(0, 1) = 2;
  const ModelReport report =
      check_model(model.checked(), {symmetry("order of the stream")
                                        .columns("embedding", "layers.*.{gate,up}", "head")
                                        .rows("layers.*.down")
                                        .by<Permutation>(M::width)});
  const SymmetryReport& found = report.symmetries.front();
  CHECK(found.verdict == Verdict::violated);
  CHECK(found.loss_changes > 1e-3);
  CHECK(has(found.mend, "'layers.0.gain' followed by"));
}

TEST_CASE("a cap of the logits breaks the shift, a tied head does, and a clamp breaks the scales") {
  M capped({.cap = 3}), tied({.is_tied = true}), clamped({.clamp = 0.5});
  const auto violated = [](M& model, ModelSymmetry broken, const std::string& named) {
    const ModelReport report = check_model(model.checked(), {std::move(broken)});
    const SymmetryReport& found = report.symmetries.front();
    CHECK(found.verdict == Verdict::violated);
    CHECK(found.loss_changes > 1e-6);
    const std::vector<std::string> blamed = names(found.gradients);
    CHECK(std::find(blamed.begin(), blamed.end(), named) != blamed.end());
    CHECK(has(found.mend, "no one change"));
  };
  violated(capped, shift(), "head");
  violated(tied, symmetry("shift").rows("embedding").by<Shift>(M::vocabulary), "embedding");
  violated(clamped, scales(), "layers.0.up");
  SYMOPT_CHECK(check_model(capped.checked(), {rotation(), neurons(), scales(), vocabulary(capped)}));
  SYMOPT_CHECK(check_model(clamped.checked(), {rotation(), neurons(), shift(), vocabulary(clamped)}));
  SYMOPT_CHECK(check_model(tied.checked(), {symmetry("rotation")
                                                .columns("embedding", "layers.*.{gate,up}")
                                                .rows("layers.*.down")
                                                .by<Orthogonal>(M::width)}));
}

TEST_CASE(
    "one block that is missing in the list is named, and so is one too many and one by the wrong axis") {
  for (const bool has_zero_down : {false, true}) {
    M model({.has_zero_down = has_zero_down});
    const auto mend = [&](const ModelSymmetry& broken) {
      const ModelReport report = check_model(model.checked(), {broken});
      CHECK(report.verdict == Verdict::violated);
      return report.symmetries.front().mend;
    };
    CHECK(has(mend(symmetry("r")
                       .columns("embedding", "layers.*.gate", "head")
                       .rows("layers.*.down")
                       .by<Orthogonal>(M::width)),
              "parameter 'layers.0.up' followed by columns, too"));
    CHECK(has(mend(symmetry("r").columns("embedding", "layers.*.{gate,up}", "head").by<Orthogonal>(M::width)),
              "parameter 'layers.0.down' followed by rows, too"));
    CHECK(has(mend(scales().dual_rows("layers.*.gate")), "'layers.0.gate' did not follow by dual rows"));
    CHECK(has(mend(symmetry("s")
                       .rows("layers.*.up")
                       .dual_columns("layers.*.down")
                       .by<algebra::Diagonal>(M::neurons)),
              "instead of"));
  }
}

/// Updates of the pair of up and down that see neither's scales: each neuron by its partner's length.
Steps scale_free_pairs(const Parameters<double>& parameters) {
  const auto find = [&](const std::string& name) {
    return *std::find_if(parameters.begin(), parameters.end(), [&](const auto& p) { return p.name == name; });
  };
  const NamedTensor<double> up = find("layers.0.up"), down = find("layers.0.down");
  return {[=] {
    for (Index i = 0; i < M::neurons; ++i) {
      double of_up = 0, of_down = 0;
      const auto u = [&](Index j) -> double& { return up.weights.data()[i * M::width + j]; };
      const auto d = [&](Index j) -> double& { return down.weights.data()[j * M::neurons + i]; };
      for (Index j = 0; j < M::width; ++j) {
        of_up += u(j) * u(j);
        of_down += d(j) * d(j);
      }
      for (Index j = 0; j < M::width; ++j) {
        u(j) -= 0.01 * up.gradient->data()[i * M::width + j] / of_down;
        d(j) -= 0.01 * down.gradient->data()[j * M::neurons + i] / of_up;
      }
    }
  }};
}

TEST_CASE("a rule of pairs keeps the scales of neurons, and rules of single blocks do not") {
  M model;
  const ModelReport report =
      check_model(model.checked(), {scales()},
                  {{"pairs", [](const Parameters<double>& p) { return in_turn(scale_free_pairs(p)); }},
                   {"derived", derived<double>()}});
  CHECK(report.symmetries.front().trainings[0].verdict == Verdict::holds);
  CHECK(report.symmetries.front().trainings[1].verdict == Verdict::violated);
}

/// A model with one square matrix that the loss is a function of, and one that it may not be.
struct TwoBlocks {
  Matrix<double> seen = Matrix<double>::Constant(3, 3, 0.5), unseen = seen, d_seen = 0 * seen,
                 d_unseen = 0 * seen;
  std::function<double(double)> of_sum = [](double sum) { return sum * sum; };
  std::function<double(double)> slope = [](double sum) { return 2 * sum; };

  Model<double> checked() {
    return {{{"seen", TensorView<double>(seen), TensorView<const double>(d_seen)},
             {"unseen", TensorView<double>(unseen), TensorView<const double>(d_unseen)}},
            [this] {
              double sum = 0;
              for (Index k = 0; k < seen.size(); ++k) sum += std::sin(seen.data()[k]);
              for (Index k = 0; k < seen.size(); ++k)
                d_seen.data()[k] = slope(sum) * std::cos(seen.data()[k]);
              return of_sum(sum);
            }};
  }
};
ModelSymmetry rows_of(const char* name) {
  return symmetry("order of rows").rows(name).by<Permutation>(3);
}
const auto never_moves = [] { return [] {}; };

TEST_CASE("a check that cannot fail is vacuous") {
  TwoBlocks blocks;
  SYMOPT_CHECK(check_model(blocks.checked(), {rows_of("seen")}));
  const auto vacuous = [&](const ModelReport& report, const std::string& why) {
    SYMOPT_CHECK_VERDICT(Verdict::vacuous, report);
    CHECK(has(report.reason, why));
    CHECK_FALSE(bool(report));
  };
  vacuous(check_model(blocks.checked(), {rows_of("unseen")}), "does not depend on what moves");
  vacuous(
      check_model(blocks.checked(), {symmetry("of one").rows(Lines{.block = 3}, "seen").by<Permutation>(1)}),
      "no element moved");
  vacuous(check_model(blocks.checked(), {rows_of("seen")}, never_moves), "never moves the weights");
  vacuous(check_model(blocks.checked(), {}), "no symmetry");
}

/// Two neurons, of which the loss sees no order.
struct TwoNeurons {
  Matrix<double> rows{{0.5, -1}, {0.25, 2}}, gradient = 0 * rows;
  bool sets_to_zero = true;

  Model<double> checked() {
    return {{{"rows", TensorView<double>(rows), TensorView<const double>(gradient)}}, [this] {
              if (sets_to_zero) gradient.setZero();
              double loss = 1;
              for (Index i = 0; i < 2; ++i) {
                const double sum = rows(i, 0) + 2 * rows(i, 1);
                loss += std::sin(sum);
                gradient(i, 0) += std::cos(sum);
                gradient(i, 1) += 2 * std::cos(sum);
              }
              return loss;
            }};
  }
};

TEST_CASE("of two neurons the order changes at every seed") {
  const ModelSymmetry order = symmetry("order").rows("rows").by<Permutation>(2);
  const auto descent = [](double rate_of_first) {
    return [rate_of_first](const Parameters<double>& parameters) {
      return [rate_of_first, parameters] {
        for (Index k = 0; k < 4; ++k)
          parameters.front().weights.data()[k] -=
              (k < 2 ? rate_of_first : 0.01) * parameters.front().gradient->data()[k];
      };
    };
  };
  TwoNeurons neurons;
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    CAPTURE(seed);
    SYMOPT_CHECK(check_model(neurons.checked(), {order}, descent(0.01), {.seed = seed}));
    SYMOPT_CHECK_VERDICT(Verdict::violated,
                         check_model(neurons.checked(), {order}, descent(0.02), {.seed = seed}));
  }
}

TEST_CASE("gradients that add up from call to call are no function of the weights") {
  TwoNeurons neurons;
  neurons.sets_to_zero = false;
  const ModelReport report =
      check_model(neurons.checked(), {symmetry("order").rows("rows").by<Permutation>(2)});
  SYMOPT_CHECK_VERDICT(Verdict::violated, report);
  CHECK(has(report.reason, "the gradients are not a function of the weights"));
}

TEST_CASE("where rounding decides nothing is said") {
  TwoBlocks blocks;
  blocks.of_sum = [](double sum) { return 2 + std::sin(1e16 * sum); };
  SYMOPT_CHECK_VERDICT(Verdict::inconclusive, check_model(blocks.checked(), {rows_of("seen")}));
  // Of a training too: its rate makes each step leave its rounding a hundred times larger.
  TwoBlocks chaotic;
  const auto far_too_fast = [](const Parameters<double>& parameters) {
    return [parameters] {
      double* w = parameters.front().weights.data();
      for (Index k = 0; k < 9; ++k) w[k] += 300 * parameters.front().gradient->data()[k];
    };
  };
  const ModelReport report = check_model(chaotic.checked(), {rows_of("seen")}, far_too_fast, {.steps = 40});
  SYMOPT_CHECK_VERDICT(Verdict::inconclusive, report);
  CHECK(has(report.reason, "rounding alone decides"));
}

TEST_CASE("a loss that is no function of its weights is called that") {
  TwoBlocks dropout, counting;
  int calls = 0;
  dropout.of_sum = [&](double sum) { return ++calls % 2 == 0 ? sum * sum : 0.9 * sum * sum; };
  ModelReport report = check_model(dropout.checked(), {rows_of("seen")}, adamw<double>());
  CHECK(report.verdict == Verdict::violated);
  CHECK(has(report.reason, "not a function of its weights"));
  CHECK(report.symmetries.size() == 1);
  CHECK(report.symmetries.front().verdict == Verdict::violated);
  // Sums in another order at every call are none of that.
  counting.of_sum = [&](double sum) { return sum * sum * (1 + (++calls % 2) * 2e-16); };
  SYMOPT_CHECK(check_model(counting.checked(), {rows_of("seen")}));

  // An optimizer that goes on where the last training left it.
  TwoBlocks blocks;
  double rate = 1e-2;
  const auto grows = [&rate](const Parameters<double>& parameters) {
    return [&rate, parameters] {
      rate *= 1.1;
      for (Index k = 0; k < 9; ++k)
        parameters.front().weights.data()[k] -= rate * parameters.front().gradient->data()[k];
    };
  };
  report = check_model(blocks.checked(), {rows_of("seen")}, grows);
  CHECK(report.verdict == Verdict::violated);
  CHECK(has(report.reason, "two trainings from one start differ"));
}

TEST_CASE("what is not finite is a violation") {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const auto violated = [](TwoBlocks& blocks, const std::string& why, auto optimizer) {
    const ModelReport report = check_model(blocks.checked(), {rows_of("seen")}, optimizer);
    CHECK(report.verdict == Verdict::violated);
    CHECK(has(report.reason, why));
  };
  TwoBlocks loss, gradient, moved, training;
  loss.of_sum = [&](double) { return nan; };
  gradient.slope = [&](double) { return nan; };
  violated(loss, "not finite at these weights", never_moves);
  violated(gradient, "not finite at these weights", never_moves);
  moved.seen(0, 0) = 0.25;
  moved.of_sum = [&](double sum) { return moved.seen(0, 0) == 0.5 ? nan : sum * sum; };
  violated(moved, "not finite after the move", never_moves);
  training.of_sum = [&](double sum) { return training.seen(0, 0) < -5 ? nan : sum * sum; };
  violated(training, "not finite after step", [](const Parameters<double>& parameters) {
    return [parameters] {
      for (Index k = 0; k < 9; ++k) parameters.front().weights.data()[k] -= 1;
    };
  });
}

TEST_CASE("weights and data are as they were after a check, and after an error in one") {
  M model;
  const Matrix<double> before = model.weights("head");
  int calls = 0;
  std::vector<std::vector<Index>> renamed;
  const ModelSymmetry tokens = symmetry("vocabulary")
                                   .rows("embedding", "head")
                                   .data([&](const ModelElement& g) {
                                     renamed.push_back(g.images());
                                     model.rename(renamed.back());
                                   })
                                   .by<Permutation>(M::vocabulary);
  const std::vector<Index> still{0, 1, 2, 3, 4, 5, 6};
  SYMOPT_CHECK(check_model(model.checked(), {tokens}, derived<double>()));
  CHECK(model.weights("head") == before);
  CHECK(renamed.back() == still);
  const std::size_t motions = renamed.size();
  CHECK(std::count(renamed.begin(), renamed.end(), still) > 1);
  CHECK(std::size_t(std::count(renamed.begin(), renamed.end(), still)) < motions);
  for (const int last : {3, 14, 40, 90}) {
    calls = 0;
    const Model<double> failing(model.parameters(), [&](int step) {
      if (++calls == last) throw std::runtime_error("out of memory");
      return model.loss_and_gradient(step);
    });
    CHECK_THROWS_AS(check_model(failing, {tokens}, derived<double>()), std::runtime_error);
    CHECK(model.weights("head") == before);
    CHECK(renamed.back() == still);
  }
}

TEST_CASE("a report says what it rests on, and repeats with its seed") {
  M model;
  const auto report = [&](std::uint64_t seed) {
    return check_model(model.checked(), {rotation(), shift()}, adamw<double>(), {.seed = seed, .steps = 5});
  };
  const ModelReport first = report(3);
  CHECK(to_string(first) == to_string(report(3)));
  CHECK(first.symmetries[0].trajectory_gap != report(4).symmetries[0].trajectory_gap);
  CHECK(has(to_string(first), "model of 5 parameters, 128 numbers in double: violated"));
  CHECK(has(to_string(first),
            "residual rotation, Orthogonal<left> on 4 coordinates of 5 parameters: violated"));
  CHECK(has(to_string(first), "SYMOPT_SEED=3"));
  std::size_t longest = 0;
  std::istringstream lines(to_string(first));
  for (std::string line; std::getline(lines, line);) longest = std::max(longest, line.size());
  CHECK(longest <= 80);
}

}}  // namespace model_test
