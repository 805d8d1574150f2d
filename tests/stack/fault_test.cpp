// SPDX-License-Identifier: Apache-2.0
// Faults from outside: rules that throw, memory where no scalar can be, blocks without rows or columns. Each
// is refused with the parameter's name or passed on, and leaves weights and state as they were.
#include "support/named_model.hpp"
#include "support/state_bits.hpp"
#include "support/state_rules.hpp"

#include <symopt/symopt.hpp>

#include <doctest/doctest.h>

#include <cstring>
#include <list>
#include <stdexcept>

namespace fault_test { namespace {

using namespace symopt;
using namespace symopt_test;

struct Failure : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// Throws at its call number `fatal`, counted over all that share the counter.
struct Fuse {
  int* calls;
  int fatal;
  void burn() const {
    if (++*calls == fatal) throw Failure("the rule gave up");
  }
};

/// A map of the momentum.
struct ThrowingMap {
  Fuse fuse;
  Matrix<float> operator()(const Matrix<float>& block) const {
    fuse.burn();
    return block * 2;
  }
};

/// A rule that throws after it has changed half of its state.
struct ThrowingState {
  Fuse fuse;
  template <class Scalar>
  struct State {
    explicit State(Shape shape) : first(Matrix<Scalar>::Zero(shape.rows, shape.cols)), second(first) {}
    Matrix<Scalar> first, second;
  };
  template <class Scalar>
  void operator()(const auto&, const auto& gradient, State<Scalar>& state, auto& direction) const {
    state.first += gradient;
    direction.setConstant(77);
    fuse.burn();
    state.second += gradient;
    direction = state.first + state.second;
  }
};

TEST_CASE("a rule that throws leaves its block's weights, momentum and state as they were") {
  CAPTURE(default_seed);
  Random random(default_seed);
  const Matrix<float> start = gaussian_block({3, 4}, random).cast<float>();
  const Matrix<float> gradient = gaussian_block({3, 4}, random).cast<float>();
  int calls = 0, other_calls = 0;
  Optimizer<ThrowingMap> map(3, 4, {.weight_decay = 0.1}, {{&calls, 2}});
  Optimizer<ThrowingState> state(3, 4, {.weight_decay = 0.1}, {{&other_calls, 2}});
  Matrix<float> of_map = start, of_state = start;
  map.step(of_map, gradient);
  state.step(of_state, gradient);
  const Matrix<float> map_before = of_map, state_before = of_state, momentum_before = map.momentum();
  const auto before = state.state();
  CHECK_THROWS_AS(map.step(of_map, gradient), Failure);
  CHECK_THROWS_AS(state.step(of_state, gradient), Failure);
  CHECK(same_bits(of_map, map_before));
  CHECK(same_bits(of_state, state_before));
  CHECK(same_bits(Matrix<float>(map.momentum()), momentum_before));
  CHECK(same_bits(state.state().first, before.first));
  CHECK(same_bits(state.state().second, before.second));
  CHECK(map.steps() == 1);
  CHECK(state.steps() == 1);
}

/// A stack of rules that cannot throw and of some that do, at call number `fatal` of all of theirs.
struct Fused {
  int calls = 0;
  NamedModel model = NamedModel()
                         .add("adamw", {3, 4})
                         .add("map", {3, 4})
                         .add("head", {5, 4})
                         .add("state", {2, 3, 4})
                         .add("columns", {4, 3})
                         .add("masked", {5, 4})
                         .add("last", {4, 4});
  LayerwiseOptimizer stack;
  std::list<std::vector<bfloat16>> copies{};  // of the weights, which each step writes too

  explicit Fused(int fatal) {
    const OptimizerOptions options{.learning_rate = 0.1, .weight_decay = 0.1};
    const Fuse fuse{&calls, fatal};
    const auto add = [&]<class Rule>(const char* name, Rule rule, Layout layout = {}, RowMask mask = {}) {
      ModelParameter& parameter = model[name];
      stack.add<Rule>(name, parameter.weights_view(), std::as_const(parameter).gradient_view(), options,
                      layout, mask, rule);
    };
    add("adamw", AdamW{});
    add("map", ThrowingMap{fuse});
    add("head", Update<LmHead>{});
    add("state", ThrowingState{fuse}, layout::experts());
    add("columns", ThrowingMap{fuse}, layout::transposed());
    add("masked", ThrowingState{fuse}, {}, RowMask(std::vector<bool>{true, false, true, true, false}));
    add("last", Update<HiddenMatrix>{});
    for (const char* name : {"adamw", "map", "state", "columns", "masked"}) {
      std::vector<bfloat16>& copy = copies.emplace_back(model[name].weights.size(), bfloat16(7.0F));
      stack.set_copy(name, TensorView<bfloat16>(copy.data(), model[name].sizes));
    }
  }
  bool step() {
    try {
      return stack.step().applied;
    } catch (const Failure&) {
      return false;
    }
  }
};

bool same_bits(const std::vector<std::vector<float>>& a, const std::vector<std::vector<float>>& b) {
  for (std::size_t i = 0; i < a.size(); ++i)
    if (std::memcmp(a[i].data(), b[i].data(), a[i].size() * sizeof(float)) != 0) return false;
  return a.size() == b.size();
}

TEST_CASE("whichever rule of a stack throws, no parameter has moved and none has forgotten") {
  CAPTURE(default_seed);
  constexpr int calls_of_a_step = 5;  // map, two experts, columns, masked
  for (int fatal = 1; fatal <= 2 * calls_of_a_step; ++fatal) {
    CAPTURE(fatal);
    Fused with(fatal), without(-1);
    int refused = 0;
    for (int step = 0; step < 4; ++step) {
      const auto before = with.model.weights();
      const auto copies_before = with.copies;
      const std::string state_before = state_bits(with.stack);
      if (!with.step()) {
        ++refused;
        CHECK(same_bits(with.model.weights(), before));
        CHECK(with.copies == copies_before);
        CHECK(state_bits(with.stack) == state_before);
        CHECK(with.stack.steps() == step);
        CHECK(with.step());  // the same gradients once more
      }
      CHECK(without.step());
      CHECK(same_bits(with.model.weights(), without.model.weights()));
      CHECK(with.copies == without.copies);
      CHECK(with.copies != copies_before);
      with.model.draw_gradients();
      without.model.draw_gradients();
    }
    CHECK(refused == 1);
    CHECK(with.stack.steps() == 4);
  }
}

TEST_CASE("a rule that does not take part in a step is not asked, and is not put back") {
  Fused fused(4);  // the columns; the map takes part before it
  fused.stack.set_gradient("map", std::nullopt);
  fused.stack.set_gradient("columns", std::nullopt);
  CHECK(fused.step());
  CHECK(fused.calls == 3);
}

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

TEST_CASE("memory that begins between two scalars, or nowhere, is refused with the parameter's name") {
  alignas(8) std::array<std::byte, 256> memory{};
  auto* between = reinterpret_cast<float*>(memory.data() + 2);
  auto* aligned = reinterpret_cast<float*>(memory.data() + 128);
  const std::vector<Index> sizes{2, 3};
  LayerwiseOptimizer stack;
  const auto add = [&](float* weights, const float* gradient) {
    return [&stack, &sizes, weights, gradient] {
      stack.add<Sign>("w", TensorView<float>(weights, sizes), TensorView<const float>(gradient, sizes));
    };
  };
  check_refused(add(between, aligned), {"'w'", "weights", "between two scalars", "4 bytes"});
  check_refused(add(aligned, between),
                {"'w'", "gradient", "between two scalars", "must begin at a multiple of 4 bytes"});
  check_refused(add(nullptr, aligned), {"'w'", "weights", "null pointer", "2x3"});
  check_refused(add(aligned, nullptr), {"'w'", "gradient", "null pointer", "std::nullopt"});
  CHECK(stack.size() == 0);
  stack.add<Sign>("w", TensorView<float>(aligned, sizes), std::nullopt);
  check_refused([&] { stack.set_gradient("w", TensorView<const float>(between, sizes)); },
                {"'w'", "between"});
  check_refused([&] { stack.set_weights("w", TensorView<float>(between, sizes)); }, {"'w'", "between"});
  Optimizer<Sign> optimizer(2, 3, {.parameter = "gate"});
  Matrix<float> trained = Matrix<float>::Ones(2, 3);
  optimizer.step(trained, Matrix<float>::Ones(2, 3));
  const std::string state = state_bits(optimizer);
  Eigen::Map<Matrix<float>> odd(between, 2, 3), even(aligned, 2, 3);
  check_refused([&] { optimizer.step(odd, even); }, {"'gate'", "weights", "between two scalars"});
  check_refused([&] { optimizer.step(even, odd); }, {"'gate'", "gradient", "between two scalars"});
  CHECK(state_bits(optimizer) == state);
  for (const std::byte byte : memory) CHECK(byte == std::byte{0});
}

TEST_CASE("memory that is aligned to a scalar and no further is memory like any other") {
  Random random(default_seed);
  const Matrix<float> start = gaussian_block({5, 7}, random).cast<float>();
  const Matrix<float> gradient = gaussian_block({5, 7}, random).cast<float>();
  std::vector<float> memory(2 * 35 + 16);
  const auto run = [&](std::size_t shift) {
    Eigen::Map<Matrix<float>> weights(memory.data() + shift, 5, 7), g(memory.data() + shift + 36, 5, 7);
    weights = start;
    g = gradient;
    Optimizer<Update<LmHead>> head(5, 7);
    Optimizer<AdamW> adamw(5, 7);
    for (int step = 0; step < 3; ++step) {
      head.step(weights, g);
      adamw.step(weights, g);
    }
    return Matrix<float>(weights);
  };
  for (std::size_t shift = 1; shift < 16; ++shift)
    CHECK(relative_error(as_double(run(shift)), as_double(run(0))) <= 1e-6);
}

TEST_CASE("parameters without rows or columns take part in a stack, and nothing happens to them") {
  std::vector<float> some(12, 1), g(12, 1);
  LayerwiseOptimizer stack;
  const auto add = [&]<class Rule>(std::type_identity<Rule>, const std::string& name,
                                   std::vector<Index> sizes, Layout layout = {}) {
    stack.add<Rule>(name, TensorView<float>(nullptr, sizes), TensorView<const float>(nullptr, sizes),
                    {.weight_decay = 0.5}, layout);
  };
  add(std::type_identity<Update<LmHead>>{}, "no rows", {0, 4});
  add(std::type_identity<Update<LmHead>>{}, "no columns", {4, 0});
  add(std::type_identity<Update<HiddenMatrix>>{}, "no experts", {0, 3, 4}, layout::experts());
  add(std::type_identity<AdamW>{}, "no entries", {0});
  add(std::type_identity<Update<HiddenMatrix>>{}, "empty experts", {2, 0, 4}, layout::experts());
  stack.add<Sign>("some", TensorView<float>(some.data(), {3, 4}), TensorView<const float>(g.data(), {3, 4}));
  CHECK(stack.step().applied);
  CHECK(stack.step().applied);
  CHECK(some[0] != 1);
  CHECK(stack.plan().rows().size() == 6);

  LayerwiseOptimizer empty;
  const TensorView<float> nothing(nullptr, {0, 3, 4});
  empty.add<HiddenMatrix>("no experts", nothing, std::nullopt, layout::experts());
  CHECK_FALSE(empty.step().applied);  // without a gradient it is no step
  empty.set_gradient("no experts", TensorView<const float>(nullptr, {0, 3, 4}));
  CHECK(empty.step().applied);
}

}}  // namespace fault_test
