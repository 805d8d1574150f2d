// SPDX-License-Identifier: Apache-2.0
// A stack takes weights in every storage that an optimizer of one block takes, and does the same to the bit.
#include "support/inputs.hpp"

#include <symopt/group/named_groups.hpp>
#include <symopt/memory/split_weights.hpp>
#include <symopt/memory/with_copy.hpp>
#include <symopt/optimizer/adamw.hpp>
#include <symopt/optimizer/adaptive.hpp>
#include <symopt/optimizer/optimizer.hpp>
#include <symopt/stack/layerwise_optimizer.hpp>

#include <doctest/doctest.h>

#include <concepts>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string>

namespace stack_storage_test { namespace {

using namespace symopt;
using namespace symopt_test;

constexpr Shape shape{13, 37};
constexpr int steps = 3;
constexpr std::uint64_t seed = 7;

/// Weights in memory of each kind, from the same numbers.
struct Memory {
  explicit Memory(const Matrix<float>& start)
      : values(start), bf16(start.cast<bfloat16>()), copy(shape.rows, shape.cols), high(bf16), low(13, 37) {
    copy.setZero();
    split(start, split_weights(high, low));
  }
  Matrix<float> values;
  Matrix<bfloat16> bf16, copy, high;
  Matrix<std::uint16_t> low;

  friend bool operator==(const Memory& a, const Memory& b) {
    const auto same = [](const auto& x, const auto& y) {
      return std::memcmp(x.data(), y.data(), static_cast<std::size_t>(x.size()) * sizeof(*x.data())) == 0;
    };
    return same(a.values, b.values) && same(a.bf16, b.bf16) && same(a.copy, b.copy) && same(a.high, b.high) &&
           same(a.low, b.low);
  }
};

/// Steps a block by an optimizer and the same one in a stack; `weights_in` says which memory is the weights.
template <class Rule>
void check_alike(const std::string& storage, const auto& weights_in) {
  CAPTURE(storage);
  CAPTURE(default_seed);
  Random random(default_seed);
  const Matrix<float> start = gaussian_block(shape, random).cast<float>();
  Memory alone(start), stacked(start);
  const OptimizerOptions options{.learning_rate = 0.1,
                                 .nesterov = !StatefulRule<symopt::detail::role_rule_t<Rule>, float>,
                                 .weight_decay = 0.1,
                                 .parameter = "w"};
  using OfBlock = symopt::detail::role_rule_t<Rule>;
  Optimizer<OfBlock> optimizer(shape.rows, shape.cols, options);
  Matrix<float> gradient(shape.rows, shape.cols);
  LayerwiseOptimizer stack;
  stack.add<Rule>("w", weights_in(stacked), gradient, options);
  for (int step = 0; step < steps; ++step) {
    gradient = gaussian_block(shape, random).cast<float>();
    optimizer.step(weights_in(alone), gradient);
    stack.step();
    CHECK(alone == stacked);
  }
  CHECK(!(alone == Memory(start)));

  gradient(1, 2) = std::numeric_limits<float>::quiet_NaN();
  const Memory before = stacked;
  CHECK_THROWS_AS(stack.step(), NonFiniteGradient);
  CHECK(before == stacked);
}

template <class Rule>
void check_all_storages() {
  check_alike<Rule>("floats", [](Memory& memory) -> Matrix<float>& { return memory.values; });
  check_alike<Rule>("floats and a copy",
                    [](Memory& memory) { return with_copy(memory.values, memory.copy); });
  check_alike<Rule>("floats and a copy rounded stochastically",
                    [](Memory& memory) { return with_copy(memory.values, stochastic(memory.copy, seed)); });
  check_alike<Rule>("two halves", [](Memory& memory) { return split_weights(memory.high, memory.low); });
  check_alike<Rule>("bfloat16", [](Memory& memory) -> Matrix<bfloat16>& { return memory.bf16; });
  check_alike<Rule>("bfloat16 rounded stochastically",
                    [](Memory& memory) { return stochastic(memory.bf16, seed); });
}

TEST_CASE("a stack steps weights in every storage as an optimizer of the block does") {
  check_all_storages<Embedding>();
  check_all_storages<LmHead>();
  check_all_storages<AdamW>();
  check_all_storages<Adaptive<LmHead>>();
}

TEST_CASE("weights that move are rounded as before") {
  Random random(default_seed);
  const Matrix<float> start = gaussian_block(shape, random).cast<float>();
  Memory stays(start), before(start), after(start);
  const Matrix<float> gradient = gaussian_block(shape, random).cast<float>();
  const OptimizerOptions options{.learning_rate = 0.1};
  LayerwiseOptimizer unmoved, moved;
  unmoved.add<Embedding>("w", stochastic(stays.bf16, seed), gradient, options);
  moved.add<Embedding>("w", stochastic(before.bf16, seed), gradient, options);
  moved.set_weights("w", after.bf16);
  for (int step = 0; step < steps; ++step) {
    unmoved.step();
    moved.step();
    CHECK(stays == after);
  }
  moved.set_weights("w", stochastic(before.bf16, seed + 1));
  before.bf16 = after.bf16;
  unmoved.step();
  moved.step();
  CHECK(!(stays == before));  // another seed, as it was asked for
}

}}  // namespace stack_storage_test
