// SPDX-License-Identifier: Apache-2.0
// Optimizers share nothing: two of them in two threads do what they do one after the other. Meant for
// ThreadSanitizer too (the preset `tsan`).
#include "support/named_model.hpp"

#include <symopt/state/state.hpp>
#include <symopt/symopt.hpp>

#include <doctest/doctest.h>

#include <cstring>
#include <string>
#include <thread>
#include <vector>

namespace concurrent_stacks_test { namespace {

using namespace symopt;
using namespace symopt_test;

/// A model of several rules, trained with gradients from its seed.
class Training {
 public:
  explicit Training(std::uint64_t seed) : model_(seed) {
    model_.add("head", {12, 8}).add("layers.0.q", {8, 8}).add("layers.0.down", {8, 16}).add("norm", {8});
    Routing routing;
    routing.add("head", role<LmHead>({.learning_rate = 0.1, .weight_decay = 0.1}));
    routing.add("layers.*.q", role<HiddenMatrix>({.learning_rate = 0.1}, layout::row_heads(2)));
    routing.add("layers.*.down", role<SwigluOutput>());
    stack_.route(model_.tensors(), routing);
  }
  void run(int steps) {
    for (int step = 0; step < steps; ++step) {
      model_.draw_gradients();
      stack_.set_schedule_factor(1.0 / (1 + step));
      clip_by_global_norm(stack_, 0.5);
      stack_.step();
    }
  }
  std::vector<std::vector<float>> weights() const { return model_.weights(); }
  const LayerwiseOptimizer& stack() const { return stack_; }

 private:
  NamedModel model_;
  LayerwiseOptimizer stack_;
};

TEST_CASE("two stacks in two threads do what they do one after the other") {
  CAPTURE(default_seed);
  constexpr int count = 4, steps = 40;
  std::vector<std::unique_ptr<Training>> apart, together;
  for (std::uint64_t i = 0; i < count; ++i) {
    apart.push_back(std::make_unique<Training>(default_seed + i));
    together.push_back(std::make_unique<Training>(default_seed + i));
  }
  for (auto& training : apart) training->run(steps);
  std::vector<std::thread> threads;
  for (auto& training : together) threads.emplace_back([&training] { training->run(steps); });
  for (std::thread& thread : threads) thread.join();
  for (std::size_t i = 0; i < count; ++i) CHECK(apart[i]->weights() == together[i]->weights());
  CHECK(apart[0]->weights() != apart[1]->weights());
}

/// The states that four threads save of one optimizer, which none of them changes.
std::vector<std::string> saved_in_threads(const auto& optimizer) {
  std::vector<std::string> saved(4);
  std::vector<std::thread> threads;
  for (std::string& bytes : saved) threads.emplace_back([&] { bytes = interop::state_bytes(optimizer); });
  for (std::thread& thread : threads) thread.join();
  return saved;
}

TEST_CASE("several threads save one optimizer, and look at its plan") {
  Training training(default_seed);
  training.run(3);
  const std::string alone = interop::state_bytes(training.stack());
  for (const std::string& bytes : saved_in_threads(training.stack())) CHECK(bytes == alone);
  Optimizer<Update<LmHead>> head(12, 8);
  Matrix<float> weights = Matrix<float>::Ones(12, 8), gradient = Matrix<float>::Identity(12, 8);
  head.step(weights, gradient);
  for (const std::string& bytes : saved_in_threads(head)) CHECK(bytes == interop::state_bytes(head));
  std::vector<std::thread> threads;
  for (int i = 0; i < 2; ++i)
    threads.emplace_back([&] { CHECK(training.stack().plan().rows().size() == 4); });
  for (std::thread& thread : threads) thread.join();
}

TEST_CASE("stacks are made and printed in several threads at once") {
  std::vector<std::string> plans(4);
  std::vector<std::thread> threads;
  for (std::string& plan : plans)
    threads.emplace_back([&plan] {
      NamedModel model;
      model.add("wte", {6, 4}).add("wq", {4, 4});
      LayerwiseOptimizer stack;
      stack.route(model.tensors(), Routing().add("wte", role<Embedding>()).add("wq", role<HiddenMatrix>()));
      std::ostringstream text;
      text << stack.plan();
      plan = text.str();
    });
  for (std::thread& thread : threads) thread.join();
  for (const std::string& plan : plans) CHECK(plan == plans.front());
}

}}  // namespace concurrent_stacks_test
