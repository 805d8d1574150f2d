// SPDX-License-Identifier: Apache-2.0
// After its parameters are added a stack allocates nothing.
#include "support/allocation_suite.hpp"
#include "support/stack_rules.hpp"

#include <symopt/memory/address_intervals.hpp>
#include <symopt/polar/exact.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <ctime>
#include <memory>

namespace stack_allocation_test { namespace {

using namespace symopt;
using namespace symopt_test;

std::vector<AnyRule<double>> all_rules() {
  return {
      any_rule<DerivedPolar, double>(),   any_rule<DualPolar, double>(),   any_rule<DerivedRows, double>(),
      any_rule<DerivedHead, double>(),    any_rule<RouterPolar, double>(), any_rule<RowsThenPolar, double>(),
      any_rule<DerivedColumns, double>(), any_rule<Sign, double>(),        any_rule<AdamW, double>()};
}

long allocations_of_steps(const AnyRule<double>& rule, const Storage& storage, Orders orders,
                          RowMask mask = {}) {
  Random random(default_seed);
  StoredParameter<double> parameter(rule.role, storage, orders,
                                    gaussian_blocks<double>(storage.blocks, random), std::move(mask));
  parameter.set_gradient(gaussian_blocks<double>(storage.blocks, random));
  return counted([&] {
    for (int step = 0; step < 3; ++step) parameter.step();
  });
}

TEST_CASE("no step allocates, the first one among them, in any storage") {
  for (const AnyRule<double>& rule : all_rules())
    for (const Storage& storage : all_storages())
      for (const Orders orders : several_orders) {
        CAPTURE(rule.name);
        CAPTURE(storage.name);
        CAPTURE(symopt_test::to_string(orders.weights));
        CAPTURE(symopt_test::to_string(orders.gradient));
        CHECK(allocations_of_steps(rule, storage, orders) == 0);
      }
}

TEST_CASE("nor with some of the rows, in a larger matrix") {
  const Storage large{
      "experts", {2, 60, 40}, layout::experts(), copies(2, {60, 40}), [](Index b, Index i, Index j) {
        return Place{b, i, j};
      }};
  std::vector<bool> scattered(60, true);
  scattered[3] = scattered[30] = false;
  for (const AnyRule<double>& rule : all_rules())
    for (const Orders orders : several_orders)
      for (const RowMask& mask : {RowMask(), RowMask::first(50), RowMask(scattered)}) {
        CAPTURE(rule.name);
        CAPTURE(mask.to_string());
        CHECK(allocations_of_steps(rule, large, orders, mask) == 0);
      }
}

TEST_CASE("nor a stack of several layouts and rules, whatever is set between its steps") {
  const std::vector<Storage> storages = all_storages();
  const std::vector<AnyRule<double>> rules = all_rules();
  std::vector<std::unique_ptr<Stored<double>>> memory;
  BasicLayerwiseOptimizer<double> stack;
  Random random(default_seed);
  for (std::size_t i = 0; i < storages.size(); ++i) {
    auto& weights = *memory.emplace_back(std::make_unique<Stored<double>>(storages[i], Order::dense));
    auto& gradient = *memory.emplace_back(std::make_unique<Stored<double>>(storages[i], Order::gaps));
    weights.set_blocks(gaussian_blocks<double>(storages[i].blocks, random));
    gradient.set_blocks(gaussian_blocks<double>(storages[i].blocks, random));
    stack.add(std::to_string(i), rules[i % rules.size()].role.with(storages[i].layout), weights.view(),
              std::as_const(gradient).view());
  }
  CHECK(counted([&] {
          for (int step = 0; step < 3; ++step) {
            stack.set_schedule_factor(1.0 / (step + 1));
            stack.step();
          }
        }) == 0);
  CHECK(stack.steps() == 3);

  stack.set_row_mask("0", RowMask::first(3));  // allocates, so that the steps need not
  CHECK(counted([&] { stack.step(); }) == 0);
}

TEST_CASE("a rule that is only callable allocates its result, as documented") {
  CHECK(allocations_of_steps(any_rule<Lopsided, double>(), all_storages()[0], {}) >= 3);
}

TEST_CASE("parameters with one rule and one shape work in the same memory") {
  Matrix<double> first = Matrix<double>::Ones(16, 8), second = first, other = Matrix<double>::Ones(8, 16);
  const Matrix<double> gradient = Matrix<double>::Random(16, 8), other_gradient = gradient.transpose();
  BasicLayerwiseOptimizer<double> stack;
  const auto add = [&](const char* name, Matrix<double>& weights, const Matrix<double>& g) {
    return counted([&] { stack.add<HiddenMatrix>(name, weights, g); });
  };
  const auto of_first = add("first", first, gradient);
  const auto of_second = add("second", second, gradient);
  const auto of_other = add("other", other, other_gradient);
  CHECK(of_second + 4 <= of_first);  // no direction and none of the polar factor's buffers again
  CHECK(of_other > of_second);
  stack.step();
  CHECK(first == second);
}

struct Work {
  std::size_t bytes;
  std::clock_t ticks;  // of the processor, whatever else the machine does
};

/// The bytes and the time that it takes to add so many parameters of one number, one by one.
Work of_adding(Index count) {
  std::vector<double> weights(static_cast<std::size_t>(2 * count));
  BasicLayerwiseOptimizer<double> stack;
  const std::size_t bytes = allocated_bytes;
  const std::clock_t begin = std::clock();
  for (Index p = 0; p < count; ++p)  // not in the order of their addresses
    stack.add<Sign>("p" + std::to_string(p),
                    TensorView<double>(&weights[static_cast<std::size_t>(p * 7919 % count)], {1, 1}),
                    std::nullopt);
  return {allocated_bytes - bytes, std::clock() - begin};
}

TEST_CASE("the work of adding a parameter does not grow with the number that is there") {
  constexpr int times = 32;
  const Work some = of_adding(1000), many = of_adding(times * 1000);
  CHECK(some.bytes > 1000);
  CHECK(many.bytes <= times * some.bytes * 5 / 4);  // what doubling leaves unused
  // A logarithm, and caches that are too small. Whoever asks all the others takes 32 times as long again.
  CHECK(many.ticks <= times * some.ticks * 4);
}

TEST_CASE("who lies in a range of addresses is found without asking the others") {
  const std::vector<double> memory(4000);
  const double* const at = memory.data();
  detail::AddressIntervals<> occupied;
  const auto meeting = [&](Index begin, Index end) {
    std::vector<std::size_t> owners;
    occupied.for_each_meeting({at + begin, at + end}, [&](std::size_t owner) { owners.push_back(owner); });
    std::ranges::sort(owners);
    return owners;
  };
  std::vector<std::pair<Index, Index>> added;
  Random random(default_seed);
  for (std::size_t owner = 0; owner < 400; ++owner) {
    const Index begin = std::uniform_int_distribution<Index>(0, 3900)(random);
    const Index length = std::uniform_int_distribution<Index>(0, owner % 10 == 0 ? 90 : 4)(random);
    std::vector<std::size_t> expected;
    for (std::size_t other = 0; other < owner; ++other)
      if (begin < added[other].second && added[other].first < begin + length && length > 0 &&
          added[other].first < added[other].second)
        expected.push_back(other);
    CHECK(meeting(begin, begin + length) == expected);
    occupied.add({at + begin, at + begin + length}, owner);
    added.emplace_back(begin, begin + length);
  }
}

}}  // namespace stack_allocation_test
