// SPDX-License-Identifier: Apache-2.0
// Wrong use is refused with the parameter's name and what is wrong; nothing is changed by an error.
#include "support/inputs.hpp"
#include "support/state_bits.hpp"

#include <symopt/symopt.hpp>

#include <doctest/doctest.h>

#include <functional>

namespace optimizer_error_test { namespace {

using namespace symopt;
using namespace symopt_test;

constexpr double nan = std::numeric_limits<double>::quiet_NaN();
constexpr Shape shape{4, 3};

/// The text of the std::invalid_argument that the call throws; empty when it throws none.
std::string refusal(const std::function<void()>& call) {
  try {
    call();
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "";
}

void check_refused(const std::function<void()>& call, const std::vector<std::string>& words) {
  const std::string text = refusal(call);
  CAPTURE(text);
  for (const std::string& word : words) {
    CAPTURE(word);
    CHECK(text.find(word) != std::string::npos);
  }
}

/// A step that is refused with these words leaves the optimizer's state bit for bit as it was.
void check_step_refused(const auto& optimizer, const std::function<void()>& step,
                        const std::vector<std::string>& words) {
  const std::string before = state_bits(optimizer);
  check_refused(step, words);
  CHECK(state_bits(optimizer) == before);
}

TEST_CASE("blocks of another shape are refused with the name, both shapes and the remedy") {
  Optimizer<Update<LmHead>> optimizer(4, 3, {.parameter = "lm_head"});
  Matrix<float> weights = Matrix<float>::Ones(4, 3);
  Matrix<float> other = Matrix<float>::Ones(3, 4);
  optimizer.step(weights, Matrix<float>{{1, 2, 3}, {4, 5, 7}, {7, 8, 9}, {0, 1, 0}});
  const Matrix<float> before = weights;
  const char* remedy = "make one optimizer per block";
  check_step_refused(optimizer, [&] { optimizer.step(other, weights); },
                     {"lm_head", "weights", "3x4", "4x3", remedy});
  check_step_refused(optimizer, [&] { optimizer.step(weights, other); },
                     {"lm_head", "gradient", "3x4", "4x3", remedy});
  check_step_refused(optimizer, [&] { optimizer.step(weights, other * 2); },
                     {"lm_head", "gradient", "3x4", "4x3"});
  CHECK(same_bits(weights, before));
  CHECK(optimizer.steps() == 1);
}

TEST_CASE("a block cannot have a negative size") {
  check_refused([] { Optimizer<Sign>(-1, 3, {.parameter = "odd"}); }, {"odd", "-1x3"});
  check_refused([] { Optimizer<AdamW>(3, -2, {.parameter = "odd"}); }, {"odd", "3x-2"});
}

TEST_CASE("memory with an inner stride is refused with the name and the stride") {
  std::vector<double> memory(4 * 3 * 2, 1.0);
  using Strides = Eigen::Stride<Eigen::Dynamic, Eigen::Dynamic>;
  Eigen::Map<Matrix<double>, 0, Strides> every_other(memory.data(), 4, 3, Strides(6, 2));
  Matrix<double> weights = Matrix<double>::Ones(4, 3);
  Optimizer<Sign, double> optimizer(4, 3, {.parameter = "gate"});
  optimizer.step(weights, Matrix<double>::Ones(4, 3));
  const Matrix<double> before = weights;
  const char* remedy = "pass memory whose rows or columns are contiguous";
  check_step_refused(optimizer, [&] { optimizer.step(every_other, weights); },
                     {"gate", "weights", "stride", "2", remedy});
  check_step_refused(optimizer, [&] { optimizer.step(weights, every_other); },
                     {"gate", "gradient", "stride", "2", remedy});
  CHECK(same_bits(weights, before));
  CHECK(memory == std::vector<double>(memory.size(), 1.0));
}

TEST_CASE("weights whose lines overlap each other are refused; a gradient may be one line for all") {
  std::vector<double> line{1, 2, 3};
  using Repeated = Eigen::Map<Matrix<double>, 0, Eigen::OuterStride<>>;
  Repeated repeated(line.data(), 4, 3, Eigen::OuterStride<>(0));
  Matrix<double> weights = Matrix<double>::Ones(4, 3);
  Optimizer<Sign, double> optimizer(4, 3, {.learning_rate = 0.5, .momentum = 0, .parameter = "gate"});
  check_step_refused(optimizer, [&] { optimizer.step(repeated, weights); },
                     {"'gate'", "overlap", "memory of their own"});
  CHECK(line == std::vector<double>{1, 2, 3});
  optimizer.step(weights, std::as_const(repeated));
  CHECK(weights == Matrix<double>::Constant(4, 3, 0.5));
}

TEST_CASE("lines that follow each other backwards in memory do not overlap") {
  std::vector<double> memory(12, 1.0);
  memory[4] = 3;
  using Backwards = Eigen::Map<Matrix<double>, 0, Eigen::OuterStride<-3>>;
  Backwards backwards(memory.data() + 9, 4, 3);
  const Matrix<double> before = backwards;
  Matrix<double> gradient = Matrix<double>::Ones(4, 3);
  gradient(0, 1) = -1;
  Optimizer<Sign, double> optimizer(4, 3, {.learning_rate = 0.5, .momentum = 0, .parameter = "gate"});
  optimizer.step(backwards, gradient);
  CHECK(backwards == before - 0.5 * gradient);
  CHECK(memory == std::vector<double>{0.5, 0.5, 0.5, 0.5, 2.5, 0.5, 0.5, 0.5, 0.5, 0.5, 1.5, 0.5});
}

TEST_CASE("a copy and halves whose lines overlap each other are refused") {
  Matrix<float> weights = Matrix<float>::Ones(4, 3);
  const Matrix<float> gradient = weights, before = weights;
  std::vector<bfloat16> line(3, bfloat16(1)), high(12, bfloat16(1));
  std::vector<std::uint16_t> low(3, 7);
  Eigen::Map<Matrix<bfloat16>, 0, Eigen::OuterStride<>> copy(line.data(), 4, 3, Eigen::OuterStride<>(0));
  Eigen::Map<Matrix<std::uint16_t>, 0, Eigen::OuterStride<>> half(low.data(), 4, 3, Eigen::OuterStride<>(0));
  Eigen::Map<Matrix<bfloat16>> upper(high.data(), 4, 3);
  Optimizer<Sign> optimizer(4, 3, {.learning_rate = 0.5, .momentum = 0, .parameter = "gate"});
  check_step_refused(optimizer, [&] { optimizer.step(with_copy(weights, copy), gradient); },
                     {"'gate'", "the copy", "overlap each other"});
  check_step_refused(optimizer, [&] { optimizer.step(split_weights(upper, half), gradient); },
                     {"'gate'", "lower half", "overlap each other"});
  CHECK(same_bits(weights, before));
  CHECK(low == std::vector<std::uint16_t>(3, 7));

  LayerwiseOptimizer stack;
  stack.add<Sign>("gate", weights, gradient);
  CHECK_THROWS_AS(stack.set_copy("gate", TensorView<bfloat16>(line.data(), {4, 3}, {0, 1})),
                  std::invalid_argument);
}

TEST_CASE("weights and gradient that share memory are refused") {
  Optimizer<Sign, double> optimizer(4, 3, {.parameter = "tied"});
  Matrix<double> memory = Matrix<double>::Ones(6, 8);
  optimizer.step(memory.bottomRightCorner(4, 3), Matrix<double>::Ones(4, 3));
  const Matrix<double> before = memory;
  check_step_refused(optimizer,
                     [&] { optimizer.step(memory.topLeftCorner(4, 3), memory.topLeftCorner(4, 3)); },
                     {"'tied'", "overlap", "keep them apart"});
  check_step_refused(optimizer, [&] { optimizer.step(memory.block(0, 0, 4, 3), memory.block(2, 2, 4, 3)); },
                     {"'tied'", "overlap", "keep them apart"});
  check_step_refused(optimizer, [&] { optimizer.step(memory.block(1, 1, 4, 3), memory.block(0, 0, 4, 3)); },
                     {"'tied'", "overlap", "keep them apart"});
  CHECK(same_bits(memory, before));
  Matrix<double> square = Matrix<double>::Ones(4, 4);
  Optimizer<Sign, double> of_square(4, 4, {.parameter = "tied"});
  check_refused([&] { of_square.step(square, square.transpose()); },
                {"'tied'", "overlap", "keep them apart"});
  CHECK(refusal([&] { optimizer.step(memory.block(0, 0, 4, 3), memory.block(0, 4, 4, 3)); }) == "");
}

TEST_CASE("options out of range are refused with the parameter, the option and its value") {
  const auto refuses = [](const OptimizerOptions& options, const char* name) {
    check_refused([&] { Optimizer<Update<LmHead>>(4, 3, options); }, {"wte", name});
  };
  for (const double bad : {-1.0, nan, infinity, -infinity}) {
    refuses({.learning_rate = bad, .parameter = "wte"}, "learning_rate");
    refuses({.momentum = bad, .parameter = "wte"}, "momentum");
    refuses({.weight_decay = bad, .parameter = "wte"}, "weight_decay");
  }
  refuses({.momentum = 1, .parameter = "wte"}, "momentum");
  check_refused([] { Optimizer<Sign>(2, 2, {.learning_rate = -0.25, .parameter = "wte"}); }, {"-0.25"});
  CHECK(refusal([] { Optimizer<Sign>(2, 2, {.learning_rate = 0, .momentum = 0, .weight_decay = 0}); }) == "");
}

TEST_CASE("options of the rule are checked when the optimizer is made") {
  check_refused([] { Optimizer<RowNorm>(2, 2, {}, {.eps = -1}); }, {"eps"});
  check_refused([] { Optimizer<Spectral<polar::NewtonSchulz>>(2, 2, {}, {{.steps = 0}}); }, {"steps"});
  check_refused([] { Optimizer<HeadSpectral<Side::left, 3>>(4, 2); }, {"4x2"});
}

TEST_CASE("horizontal decay is refused where the rule's group has no shift") {
  const OptimizerOptions options{.decay = Decay::horizontal, .parameter = "wte"};
  check_refused([&] { Optimizer<Update<Embedding>>(4, 3, options); }, {"wte", "horizontal", "shift"});
  check_refused([&] { Optimizer<RowNorm>(4, 3, options); }, {"wte", "horizontal", "shift"});
  check_refused([&] { Optimizer<AdamW>(4, 3, options); }, {"wte", "horizontal"});
  CHECK(refusal([&] { Optimizer<Update<LmHead>>(4, 3, options); }) == "");
  CHECK(refusal([&] { Optimizer<Update<ColumnShift>>(4, 3, options); }) == "");
}

TEST_CASE("no momentum for a rule that keeps its own is refused with what to set") {
  check_refused([] { Optimizer<AdamW>(4, 3, {.momentum = 0, .parameter = "wte"}); },
                {"'wte'", "the options say no momentum", "this rule keeps its own", "beta1 (0 for none)"});
}

TEST_CASE("a rule that keeps its own momentum refuses the optimizer's") {
  const auto refuses = [](const OptimizerOptions& options) {
    check_refused([&] { Optimizer<AdamW>(4, 3, options); }, {"norm", "momentum"});
  };
  refuses({.momentum = 0.9, .parameter = "norm"});
  refuses({.momentum_convention = MomentumConvention::heavy_ball, .parameter = "norm"});
  refuses({.nesterov = true, .parameter = "norm"});
  Optimizer<AdamW> adamw(4, 3, {.parameter = "norm"});
  check_refused([&] { adamw.set_momentum(0.5); }, {"norm", "momentum"});
}

TEST_CASE("setters validate and keep what was there when they refuse") {
  Optimizer<Sign> optimizer(
      2, 2, {.learning_rate = 0.5, .momentum = 0.25, .weight_decay = 0.125, .parameter = "w"});
  check_refused([&] { optimizer.set_learning_rate(-1); }, {"'w'", "learning_rate", "-1"});
  check_refused([&] { optimizer.set_learning_rate(nan); }, {"'w'", "learning_rate"});
  check_refused([&] { optimizer.set_momentum(1); }, {"'w'", "momentum"});
  check_refused([&] { optimizer.set_weight_decay(infinity); }, {"'w'", "weight_decay"});
  CHECK(optimizer.options().learning_rate == 0.5);
  CHECK(optimizer.options().momentum == 0.25);
  CHECK(optimizer.options().weight_decay == 0.125);
  optimizer.set_learning_rate(0.25);
  optimizer.set_momentum(0);
  optimizer.set_weight_decay(0);
  CHECK(optimizer.options().learning_rate == 0.25);
  CHECK(optimizer.options().momentum == 0);
  CHECK(optimizer.options().weight_decay == 0);
  static_assert(std::is_const_v<std::remove_reference_t<decltype(optimizer.options())>>);
}

TEST_CASE("setters act on the next step") {
  Optimizer<Identity, double> optimizer(1, 1, {.learning_rate = 1, .momentum = 0});
  Matrix<double> weights{{0}};
  const Matrix<double> gradient{{1}};
  optimizer.step(weights, gradient);
  CHECK(weights(0, 0) == -1);
  optimizer.set_learning_rate(0.5);
  optimizer.set_momentum(0.5);
  optimizer.set_weight_decay(1);
  optimizer.step(weights, gradient);  // m = 0.5 + 0.5, W = -1 + 0.5 - 0.5
  CHECK(weights(0, 0) == doctest::Approx(-1));
}

/// A step with a bad gradient after a good one, then whether weights and state are the same bits.
template <class Rule, class Scalar>
void check_nothing_changed(const Rule& rule, Scalar bad, NonFinite policy, Index place) {
  Random random(default_seed);
  Matrix<Scalar> weights = gaussian_block(shape, random).cast<Scalar>();
  weights(2, 2) = std::numeric_limits<Scalar>::denorm_min();
  Optimizer<Rule, Scalar> optimizer(shape.rows, shape.cols, {.non_finite = policy, .parameter = "wq"}, rule);
  Matrix<Scalar> gradient = gaussian_block(shape, random).cast<Scalar>();
  optimizer.step(weights, gradient);
  const Matrix<Scalar> weights_before = weights;
  const Optimizer<Rule, Scalar> before = optimizer;
  gradient.data()[place] = bad;
  if (policy == NonFinite::skip) {
    const StepReport report = optimizer.step(weights, gradient);
    CHECK_FALSE(report.applied);
    CHECK(report.step == 1);
  } else {
    check_refused([&] { optimizer.step(weights, gradient); }, {"wq", "gradient"});
  }
  CHECK(optimizer.steps() == 1);
  CHECK(same_bits(weights, weights_before));
  if constexpr (requires { optimizer.momentum(); }) {
    CHECK(same_bits(optimizer.momentum(), before.momentum()));
  } else if constexpr (requires { typename Rule::moments_type; }) {
    CHECK(same_bits(optimizer.state().momentum(), before.state().momentum()));
    if constexpr (requires { optimizer.state().root_mean_squares(); }) {
      CHECK(optimizer.state().root_mean_squares() == before.state().root_mean_squares());
    } else {
      CHECK(same_bits(optimizer.state().second_moments(), before.state().second_moments()));
      CHECK(same_bits(optimizer.state().inverse_root(), before.state().inverse_root()));
    }
    CHECK(optimizer.state().step == before.state().step);
  } else {
    CHECK(same_bits(optimizer.state().first(), before.state().first()));
    CHECK(same_bits(optimizer.state().second(), before.state().second()));
    CHECK(optimizer.state().step == before.state().step);
  }
}

TEST_CASE_TEMPLATE("a gradient that is not finite leaves weights and state bit for bit", Scalar, float,
                   double) {
  CAPTURE(default_seed);
  using Limits = std::numeric_limits<Scalar>;
  for (const Scalar bad : {Limits::quiet_NaN(), Limits::infinity(), -Limits::infinity()})
    for (const NonFinite policy : {NonFinite::throw_error, NonFinite::skip})
      for (const Index place : {Index(0), Index(5), shape.rows * shape.cols - 1}) {
        check_nothing_changed(Update<LmHead>{}, bad, policy, place);
        check_nothing_changed(AdamW{}, bad, policy, place);
        check_nothing_changed(Adaptive<LmHead>{}, bad, policy, place);
        check_nothing_changed(Adaptive<SwigluOutput>{}, bad, policy, place);
        check_nothing_changed(Adaptive<LmHead, moments::Block>{}, bad, policy, place);
        check_nothing_changed(Adaptive<HiddenMatrix>{}, bad, policy, place);
      }
}

TEST_CASE("an unchecked gradient is taken as it is, and a large finite one is not refused") {
  Optimizer<Identity> optimizer(1, 2, {.momentum = 0, .non_finite = NonFinite::unchecked});
  Matrix<float> weights{{1, 1}};
  const float not_a_number = std::numeric_limits<float>::quiet_NaN();
  CHECK(optimizer.step(weights, Matrix<float>{{not_a_number, 0}}).applied);
  CHECK(std::isnan(weights(0, 0)));
  CHECK(weights(0, 1) == 1);
  Optimizer<Update<HiddenMatrix>> checked(1, 2);
  weights.setOnes();
  CHECK(checked.step(weights, Matrix<float>{{3e38F, -3e38F}}).applied);
  CHECK(weights.allFinite());
}

TEST_CASE("a rule that returns another shape is refused and leaves weights and momentum as they were") {
  struct Cropping {
    Matrix<double> operator()(const Matrix<double>& block) const { return block.topRows(1); }
  };
  Optimizer<Cropping, double> optimizer(2, 2);
  Matrix<double> weights = Matrix<double>::Ones(2, 2);
  check_refused([&] { optimizer.step(weights, Matrix<double>::Ones(2, 2)); }, {"1x2", "2x2"});
  CHECK(weights == Matrix<double>::Ones(2, 2));
  CHECK(optimizer.steps() == 0);
  CHECK(Matrix<double>(optimizer.momentum()) == Matrix<double>::Zero(2, 2));
}

}}  // namespace optimizer_error_test
