// SPDX-License-Identifier: Apache-2.0
#include <symopt/symopt.hpp>

#include <doctest/doctest.h>

#include <cmath>
#include <numbers>
#include <stdexcept>

namespace schedule_test { namespace {

using namespace symopt;
using doctest::Approx;

TEST_CASE("the constant schedule is one throughout") {
  static_assert(ConstantSchedule{}(0) == 1.0);
  CHECK(ConstantSchedule{}(1'000'000) == 1.0);
}

TEST_CASE("the warm-up rises linearly and meets the cosine at one") {
  const WarmupCosine schedule{.warmup_steps = 100, .total_steps = 1000};
  CHECK(schedule(0) == Approx(0.01));
  CHECK(schedule(49) == Approx(0.5));
  CHECK(schedule(99) == 1.0);
  CHECK(schedule(100) == 1.0);
  CHECK(schedule(101) < 1.0);
}

TEST_CASE("the cosine falls from one through a half to zero and stays there") {
  const WarmupCosine schedule{.warmup_steps = 100, .total_steps = 1100};
  CHECK(schedule(600) == Approx(0.5));
  CHECK(schedule(350) == Approx(0.5 * (1 + std::cos(std::numbers::pi / 4))));
  CHECK(schedule(1099) > 0.0);
  CHECK(schedule(1099) < 1e-5);
  CHECK(schedule(1100) == 0.0);
  CHECK(schedule(5000) == 0.0);
  for (std::int64_t step = 100; step < 1100; ++step) CHECK(schedule(step + 1) < schedule(step));
}

TEST_CASE("without warm-up the cosine starts at one") {
  const WarmupCosine schedule{.warmup_steps = 0, .total_steps = 10};
  CHECK(schedule(0) == 1.0);
  CHECK(schedule(5) == Approx(0.5));
  CHECK(schedule(10) == 0.0);
}

TEST_CASE("the defaults of the warm-up are those of the paper") {
  const WarmupCosine schedule;
  CHECK(schedule.warmup_steps == 100);
  CHECK(schedule(99) == 1.0);
}

TEST_CASE("constant, then linear over the last 40 per cent") {
  const ConstantThenLinear schedule{.total_steps = 1000};
  CHECK(schedule(0) == 1.0);
  CHECK(schedule(599) == 1.0);
  CHECK(schedule(600) == 1.0);
  CHECK(schedule(601) == Approx(399.0 / 400));
  CHECK(schedule(800) == Approx(0.5));
  CHECK(schedule(999) == Approx(1.0 / 400));
  CHECK(schedule(1000) == 0.0);
  CHECK(schedule(2000) == 0.0);
}

TEST_CASE("the share of the decay matters, up to the whole run") {
  const ConstantThenLinear whole{.total_steps = 10, .decay_share = 1};
  CHECK(whole(0) == 1.0);
  CHECK(whole(1) == Approx(0.9));
  const ConstantThenLinear last{.total_steps = 10, .decay_share = 0.1};
  CHECK(last(9) == Approx(1.0));
  CHECK(last(10) == 0.0);
}

TEST_CASE("schedules that end before they begin are refused") {
  CHECK_THROWS_AS((WarmupCosine{.warmup_steps = -1, .total_steps = 10}(0)), std::invalid_argument);
  CHECK_THROWS_AS((WarmupCosine{.warmup_steps = 10, .total_steps = 10}(0)), std::invalid_argument);
  CHECK_THROWS_AS((WarmupCosine{.warmup_steps = 20, .total_steps = 10}(0)), std::invalid_argument);
  CHECK_THROWS_AS((ConstantThenLinear{.total_steps = 0}(0)), std::invalid_argument);
  CHECK_THROWS_AS((ConstantThenLinear{.total_steps = -5}(0)), std::invalid_argument);
  const double nan = std::nan("");
  for (const double share : {0.0, -0.1, 1.1, nan})
    CHECK_THROWS_AS((ConstantThenLinear{.total_steps = 10, .decay_share = share}(0)), std::invalid_argument);
}

TEST_CASE("a schedule's factor multiplies the learning rate of the step") {
  Optimizer<Identity, double> optimizer(1, 1, {.learning_rate = 0.5, .momentum = 0});
  const ConstantThenLinear schedule{.total_steps = 10};
  Matrix<double> weights{{0}};
  const Matrix<double> gradient{{1}};
  double expected = 0;
  for (std::int64_t step = 0; step < 12; ++step) {
    optimizer.set_schedule_factor(schedule(step));
    CHECK(optimizer.schedule_factor() == schedule(step));
    const StepReport report = optimizer.step(weights, gradient);
    expected -= 0.5 * schedule(step);
    CHECK(report.learning_rate == 0.5 * schedule(step));
    CHECK(report.step == step + 1);
    CHECK(weights(0, 0) == Approx(expected));
  }
  CHECK(optimizer.options().learning_rate == 0.5);
}

TEST_CASE("a schedule factor out of range is refused and changes nothing") {
  Optimizer<Identity> optimizer(1, 1);
  optimizer.set_schedule_factor(0.25);
  for (const double factor : {-0.1, std::nan(""), HUGE_VAL})
    CHECK_THROWS_WITH_AS(optimizer.set_schedule_factor(factor), doctest::Contains("schedule factor"),
                         std::invalid_argument);
  CHECK(optimizer.schedule_factor() == 0.25);
  optimizer.set_schedule_factor(0);
  CHECK(optimizer.schedule_factor() == 0);
}

}}  // namespace schedule_test
