// SPDX-License-Identifier: Apache-2.0
// A stack that changes while it trains: parameters come and go, and so do options.
#include "support/named_model.hpp"

#include <symopt/optimizer/schedule.hpp>
#include <symopt/stack/clip.hpp>
#include <symopt/stack/layerwise_optimizer.hpp>
#include <symopt/state/state.hpp>

#include <doctest/doctest.h>

#include <cstddef>
#include <limits>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace stack_changes_test { namespace {

using namespace symopt_test;
using namespace symopt;

/// The message of the std::invalid_argument that `action` throws; empty when it throws none.
std::string error_of(const auto& action) {
  try {
    action();
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return {};
}

TEST_CASE("a parameter that was removed stays as it is, and the others go on as without it") {
  NamedModel model, alone;
  for (NamedModel* one : {&model, &alone}) one->add("a", {4, 3}).add("b", {4, 3}).add("c", {3});
  const Routing routing = Routing().add_optional("a", role<LmHead>()).add_optional("b", role<HiddenMatrix>());
  LayerwiseOptimizer stack, without;
  stack.route(model.tensors(), routing);
  auto tensors = alone.tensors();
  tensors.erase(tensors.begin());
  without.route(tensors, routing);
  stack.step();
  without.step();
  stack.remove("a");
  CHECK(stack.size() == 2);
  CHECK_FALSE(stack.contains("a"));
  const std::vector<float> left = model["a"].weights;
  stack.step();
  without.step();
  CHECK(model["a"].weights == left);
  CHECK(model["b"].weights == alone["b"].weights);
  CHECK(model["c"].weights == alone["c"].weights);
  CHECK(stack.plan().rows().size() == 2);
}

TEST_CASE("after it is removed a name and its memory are free, for another shape and rule too") {
  NamedModel model;
  model.add("a", {4, 3}).add("b", {2, 3});
  LayerwiseOptimizer stack;
  const auto add_a = [&](std::vector<Index> sizes) {
    stack.add("a", role<HiddenMatrix>(), TensorView<float>(model["a"].weights.data(), sizes),
              TensorView<const float>(model["a"].gradient.data(), sizes));
  };
  add_a({4, 3});
  stack.step();
  const std::string message = error_of([&] { add_a({2, 6}); });
  CAPTURE(message);
  CHECK(message.find("stack.remove(name)") != std::string::npos);
  CHECK(stack.size() == 1);
  stack.remove("a");
  add_a({2, 6});
  CHECK(stack.plan().rows()[0].shape == "2x6");
  // A new parameter begins without a momentum.
  std::vector<float> weights = model["a"].weights;
  LayerwiseOptimizer fresh;
  fresh.add("a", role<HiddenMatrix>(), TensorView<float>(weights.data(), {2, 6}),
            TensorView<const float>(model["a"].gradient.data(), {2, 6}));
  stack.step();
  fresh.step();
  CHECK(weights == model["a"].weights);
  // The memory that overlapped is still watched.
  CHECK(error_of([&] {
          stack.add("other", role<LmHead>(), TensorView<float>(model["a"].weights.data(), {3, 2}),
                    std::nullopt);
        }).find("share memory") != std::string::npos);
  stack.remove("a");
  CHECK_NOTHROW(
      stack.add("other", role<LmHead>(), TensorView<float>(model["a"].weights.data(), {3, 2}), std::nullopt));
}

TEST_CASE("weights of another shape are refused with what helps") {
  NamedModel model;
  model.add("a", {4, 3});
  LayerwiseOptimizer stack;
  stack.route(model.tensors(), Routing().add("a", role<LmHead>()));
  const std::string message = error_of([&] {
    stack.set_weights("a", TensorView<float>(model["a"].weights.data(), {3, 4}));
  });
  CAPTURE(message);
  CHECK(message.find("remove the parameter and add it anew") != std::string::npos);
  CHECK(error_of([&] { stack.remove("b"); }).find("the nearest name is 'a'") != std::string::npos);
  CHECK(stack.size() == 1);
}

TEST_CASE("momentum and decay change between steps, for one or for all, and for those that come later") {
  NamedModel model;
  model.add("a", {4, 3}).add("b", {4, 3}).add("gain", {3});
  LayerwiseOptimizer stack;
  stack.route(model.tensors(), Routing().add("*", role<Embedding>()));
  stack.set_momentum("a", 0.5);
  stack.set_weight_decay("a", 0.25);
  CHECK(stack.options("a").momentum == 0.5);
  CHECK(stack.options("a").weight_decay == 0.25);
  CHECK(stack.options("b").momentum == 0.95);
  stack.set_momentum(0.75);
  stack.set_weight_decay(0.125);
  for (const char* name : {"a", "b"}) {
    CHECK(stack.options(name).momentum == 0.75);
    CHECK(stack.options(name).weight_decay == 0.125);
  }
  CHECK(stack.options("gain").weight_decay == 0.125);
  CHECK(stack.options("gain").momentum == OptimizerOptions{}.momentum);  // AdamW keeps its own
  std::vector<float> weights(12, 1.0F);
  stack.add("later", role<Embedding>(), TensorView<float>(weights.data(), {4, 3}), std::nullopt);
  CHECK(stack.options("later").momentum == 0.75);
  CHECK(stack.options("later").weight_decay == 0.125);

  // A step has the new numbers: without a momentum it follows the gradient alone.
  stack.set_momentum("a", 0);
  stack.set_weight_decay("a", 0);
  std::vector<float> expected = model["a"].weights;
  LayerwiseOptimizer fresh({.momentum = 0});
  fresh.add("a", role<Embedding>(), TensorView<float>(expected.data(), {4, 3}), model["a"].gradient_view());
  stack.step();
  fresh.step();
  CHECK(model["a"].weights == expected);

  CHECK(error_of([&] { stack.set_momentum("gain", 0.5); }).find("keeps its own momentum") !=
        std::string::npos);
  CHECK(error_of([&] { stack.set_momentum("a", 1); }).find("momentum is 1") != std::string::npos);
  CHECK(error_of([&] { stack.set_weight_decay(-1); }).find("weight_decay is -1") != std::string::npos);
  CHECK(stack.options("a").momentum == 0);
  CHECK(stack.options("b").weight_decay == 0.125);
}

TEST_CASE("a number that does not suit one parameter is set for none") {
  NamedModel model;
  model.add("a", {4, 3}).add("up", {4, 2}).add("down", {2, 5});
  LayerwiseOptimizer stack;
  stack.route({model.tensors().front()}, Routing().add("a", role<LmHead>()));
  stack.add_pair<LoraPair>("pair", model["up"].weights_view(), model["up"].gradient_view(),
                           model["down"].weights_view(), model["down"].gradient_view(),
                           {.learning_rate = 0.5}, {.b = layout::transposed()});
  // 0.5 times 3 is no decay of a pair.
  CHECK(error_of([&] { stack.set_weight_decay(3); }).find("must be less than 1") != std::string::npos);
  CHECK(error_of([&] { stack.set_weight_decay(1e39); }) != "");  // beyond floats
  CHECK(error_of([&] { stack.set_momentum(1); }) != "");
  CHECK(stack.options().weight_decay == 0);
  CHECK(stack.options("a").weight_decay == 0);
  CHECK(stack.options("pair.a").weight_decay == 0);
  // A pair is as strict when a schedule multiplies, and about rates that no float is.
  stack.set_weight_decay(1);
  for (const auto& set : {&LayerwiseOptimizer::set_schedule_factor, &LayerwiseOptimizer::set_schedule_decay})
    CHECK(error_of([&] { (stack.*set)(2); }).find("'pair.a'") != std::string::npos);
  CHECK(error_of([&] { stack.set_learning_rate("pair.a", 1e39); }) != "");
  CHECK(stack.schedule_factor() == 1);
  CHECK(stack.schedule_decay() == 1);
  CHECK(stack.step().applied);
}

/// The weights after some steps of a stack with these options, with `before_step(stack, step)` before each.
std::vector<std::vector<float>> trained(const StackOptions& options, const auto& before_step) {
  NamedModel model;
  model.add("embedding", {4, 3}).add("head", {5, 3}).add("hidden", {4, 3}).add("gain", {3});
  LayerwiseOptimizer stack(options);
  stack.route(model.tensors(), Routing()
                                   .add("embedding", role<Embedding>())
                                   .add("head", role<LmHead>())
                                   .add("hidden", role<HiddenMatrix>()));
  for (int step = 0; step < 5; ++step) {
    model.draw_gradients();
    before_step(stack, step);
    stack.step();
  }
  return model.weights();
}

TEST_CASE("a schedule's momentum and decay are those of the options, step by step, and leave these alone") {
  const Ramp momentum{.first = 0.5, .last = 0.9, .steps = 4}, decay{.first = 1, .last = 0.25, .steps = 3};
  for (const auto convention : {MomentumConvention::ema, MomentumConvention::heavy_ball}) {
    for (const bool nesterov : {false, true}) {
      const StackOptions options{
          .learning_rate = 0.1, .weight_decay = 0.5, .momentum_convention = convention, .nesterov = nesterov};
      const auto scheduled = trained(options, [&](LayerwiseOptimizer& stack, int step) {
        stack.set_schedule_momentum(momentum(step));
        stack.set_schedule_decay(decay(step));
        CHECK(stack.schedule_momentum() == momentum(step));
        CHECK(stack.schedule_decay() == decay(step));
        CHECK(stack.options("head").momentum == 0.95);
        CHECK(stack.options("head").weight_decay == 0.5);
      });
      const auto set = trained(options, [&](LayerwiseOptimizer& stack, int step) {
        stack.set_momentum(momentum(step));
        stack.set_weight_decay(0.5 * decay(step));
      });
      CHECK(scheduled == set);
      const auto without = trained(options, [](LayerwiseOptimizer&, int) {});
      for (std::size_t i = 0; i < without.size(); ++i) CHECK(scheduled[i] != without[i]);
      const auto given_back = trained(options, [](LayerwiseOptimizer& stack, int) {
        stack.set_schedule_momentum(0.1);
        stack.set_schedule_momentum(std::nullopt);
        stack.set_schedule_decay(0);
        stack.set_schedule_decay(1);
      });
      CHECK(given_back == without);
    }
  }
}

TEST_CASE(
    "a state that is saved in the middle of a schedule loads into a new stack, and goes on to the bit") {
  const Ramp momentum{.first = 0.5, .last = 0.9, .steps = 6};
  NamedModel model, copy;
  for (NamedModel* one : {&model, &copy}) one->add("head", {5, 3}).add("hidden", {4, 3});
  const Routing routing = Routing().add("head", role<LmHead>()).add("hidden", role<HiddenMatrix>());
  LayerwiseOptimizer stack, resumed;
  stack.route(model.tensors(), routing);
  resumed.route(copy.tensors(), routing);
  const auto step = [&](LayerwiseOptimizer& of) {
    of.set_schedule_momentum(momentum(of.steps()));
    of.step();
  };
  for (int i = 0; i < 3; ++i) step(stack);
  const std::string bytes = interop::state_bytes(stack);
  interop::load_state_bytes(resumed, std::as_bytes(std::span(bytes)));
  for (const char* name : {"head", "hidden"}) copy[name].weights = model[name].weights;
  for (int i = 0; i < 3; ++i) {
    step(stack);
    step(resumed);
  }
  CHECK(model.weights() == copy.weights());
  stack.set_momentum(0.5);  // an option, which is compared
  const std::string other = interop::state_bytes(stack);
  CHECK_THROWS_AS(interop::load_state_bytes(resumed, std::as_bytes(std::span(other))),
                  interop::StateMismatch);
}

TEST_CASE("a schedule's numbers out of range are refused, and the old ones stay") {
  LayerwiseOptimizer stack;
  std::vector<float> weights(12, 1.0F);
  stack.add<Embedding>("wte", TensorView<float>(weights.data(), {4, 3}), std::nullopt,
                       {.learning_rate = 1e30, .weight_decay = 1e3});
  stack.set_schedule_momentum(0.5);
  stack.set_schedule_decay(2);
  CHECK(error_of([&] { stack.set_schedule_momentum(1); }).find("the schedule's momentum is 1; it must be") !=
        std::string::npos);
  CHECK(error_of([&] { stack.set_schedule_momentum(-0.1); }).find("momentum is -0.1") != std::string::npos);
  CHECK(error_of([&] { stack.set_schedule_decay(-1); }).find("factor of the decay is -1; it must be") !=
        std::string::npos);
  CHECK(error_of([&] { stack.set_schedule_decay(1e9); }).find("parameter 'wte'") != std::string::npos);
  CHECK(stack.schedule_momentum() == 0.5);
  CHECK(stack.schedule_decay() == 2);
}

TEST_CASE("a ramp goes from one number to the other and stays there") {
  const Ramp ramp{.first = 1, .last = 3, .steps = 4};
  const double expected[] = {1, 1.5, 2, 2.5, 3, 3, 3};
  for (int step = 0; step < 7; ++step) CHECK(ramp(step) == expected[step]);
  CHECK(error_of([] { Ramp{.steps = 0}(1); }).find("Ramp needs steps > 0") != std::string::npos);
}

TEST_CASE("a stack that was moved from is empty and may be used again") {
  NamedModel model;
  model.add("a", {4, 3});
  LayerwiseOptimizer stack;
  stack.route(model.tensors(), Routing().add("a", role<LmHead>()));
  LayerwiseOptimizer taken = std::move(stack);
  stack = LayerwiseOptimizer();
  CHECK(taken.size() == 1);
  CHECK(taken.step().applied);
  taken.set_schedule_factor(0.5);
  LayerwiseOptimizer other(std::move(taken));
  CHECK(taken.size() == 0);  // NOLINT(bugprone-use-after-move): what is tested
  CHECK(taken.steps() == 0);
  CHECK(taken.schedule_factor() == 1);
  CHECK(other.steps() == 1);
  CHECK(other.schedule_factor() == 0.5);
  CHECK_FALSE(taken.contains("a"));
  CHECK_FALSE(taken.step().applied);
  NamedModel next;
  next.add("a", {4, 3}).add("b", {5, 5});
  taken.route(next.tensors(), Routing().add("a", role<LmHead>()).add("b", role<HiddenMatrix>()));
  CHECK(taken.step().applied);
  CHECK(other.step().applied);
}

TEST_CASE("a step that is refused or finds no gradient takes a clip's factor with it and is not counted") {
  NamedModel model, other;
  for (NamedModel* one : {&model, &other}) one->add("a", {3}).add("b", {3});
  LayerwiseOptimizer stack, fresh;
  stack.route(model.tensors(), Routing());
  fresh.route(other.tensors(), Routing());
  clip_by_global_norm(stack, 1e-3);
  const float kept = model["b"].gradient[0];
  model["b"].gradient[0] = std::numeric_limits<float>::infinity();
  CHECK_THROWS_AS(stack.step(), std::invalid_argument);
  model["b"].gradient[0] = kept;
  CHECK(stack.step().applied);
  CHECK(fresh.step().applied);
  CHECK(model.weights() == other.weights());
  CHECK(stack.steps() == 1);

  clip_by_global_norm(stack, 1e-3);
  for (const char* name : {"a", "b"}) stack.set_gradient(name, std::nullopt);
  const StackReport report = stack.step();
  CHECK_FALSE(report.applied);
  CHECK(report.non_finite.empty());
  CHECK(report.step == 1);
  for (const char* name : {"a", "b"}) stack.set_gradient(name, model[name].gradient_view());
  CHECK(stack.step().applied);
  CHECK(fresh.step().applied);
  CHECK(model.weights() == other.weights());
}

TEST_CASE("sizes whose product no memory has are refused, and those of nothing are not") {
  float element = 0;
  const Index large = Index{1} << 40;
  for (const auto& sizes :
       {std::vector<Index>{large, large}, {large, 1, large}, {3, large, large}, {large, large, 2}}) {
    const std::string message = error_of([&] { TensorView<float>(&element, sizes); });
    CAPTURE(message);
    CHECK(message.find("larger than memory can be") != std::string::npos);
  }
  CHECK(error_of([&] { Optimizer<Update<LmHead>>(large, large, {.parameter = "wte"}); }) ==
        "symopt: parameter 'wte': a block of 1099511627776x1099511627776 is larger than memory can be");
  CHECK_NOTHROW(TensorView<float>(&element, {large, large, 0}));
  CHECK(TensorView<float>(&element, {0, large, large}).is_empty());
  CHECK_NOTHROW(TensorView<float>(&element, {large, 1024}));
}

}}  // namespace stack_changes_test
