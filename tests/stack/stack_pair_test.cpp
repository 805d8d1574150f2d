// SPDX-License-Identifier: Apache-2.0
// Pairs in a stack: two parameters that step together.
#include "support/inputs.hpp"
#include "support/state_bits.hpp"

#include <symopt/state/state.hpp>
#include <symopt/symopt.hpp>

#include <doctest/doctest.h>

#include <functional>
#include <limits>
#include <optional>
#include <span>

namespace stack_pair_test { namespace {

using namespace symopt;
using namespace symopt_test;

using Stack = BasicLayerwiseOptimizer<double>;
constexpr double nan = std::numeric_limits<double>::quiet_NaN();

/// LoRA's matrices as they are stored: up [out, r], down [r, in].
struct Lora {
  explicit Lora(std::uint64_t seed = default_seed) {
    Random random(seed);
    up = gaussian_block({12, 4}, random);
    down = gaussian_block({4, 20}, random);
    g_up = gaussian_block({12, 4}, random);
    g_down = gaussian_block({4, 20}, random);
  }
  void add_to(Stack& stack, const std::string& name = "q",
              OptimizerOptions options = {.learning_rate = 0.1}) {
    stack.add_pair<LoraPair>(name, up, g_up, down, g_down, std::move(options), {.b = layout::transposed()});
  }
  Matrix<double> up, down, g_up, g_down;
};

void check_refused(const std::function<void()>& call, const std::vector<std::string>& words) {
  std::string text;
  try {
    call();
  } catch (const Error& error) {
    text = error.what();
  }
  CAPTURE(text);
  for (const std::string& word : words) {
    CAPTURE(word);
    CHECK(text.find(word) != std::string::npos);
  }
}

TEST_CASE("a pair in a stack does what PairOptimizer does, by layout, by transposed view, and with decay") {
  const OptimizerOptions options{.learning_rate = 0.1, .weight_decay = 0.1, .scale = Scale::match_rms};
  Lora alone, stacked, viewed;
  PairOptimizer<PairUpdate<LoraPair>, double> optimizer(12, 20, 4, options);
  Stack stack, views;
  stacked.add_to(stack, "q", options);
  views.add_pair<LoraPair>("q", viewed.up, viewed.g_up, viewed.down.transpose(), viewed.g_down.transpose(),
                           options);
  for (int step = 0; step < 3; ++step) {
    optimizer.step(alone.up, alone.g_up, alone.down.transpose(), alone.g_down.transpose());
    stack.step();
    views.step();
    CHECK(same_bits(stacked.up, alone.up));
    CHECK(same_bits(stacked.down, alone.down));
    CHECK(same_bits(viewed.down, alone.down));
  }
  CHECK(stack.contains("q.a"));
  CHECK(stack.contains("q.b"));
}

TEST_CASE("without options a pair has the stack's, and the plan shows both blocks") {
  Lora lora;
  Stack stack({.learning_rate = 1e-3, .weight_decay = 0.1});
  stack.add_pair<LoraPair>("layers.0.q", lora.up, lora.g_up, lora.down, lora.g_down,
                           {.b = layout::transposed()});
  const Plan plan = stack.plan();
  REQUIRE(plan.rows().size() == 2);
  CHECK(plan.rows()[0].name == "layers.0.q.a");
  CHECK(plan.rows()[0].group == "LoraPair");
  CHECK(plan.rows()[0].rule == "block A of a pair | Spectral");
  CHECK(plan.rows()[1].rule == "block B of a pair | Spectral");
  CHECK(plan.rows()[1].shape == "4x20");
  CHECK(plan.rows()[1].blocks == "1 of 20x4");
  CHECK(plan.rows()[1].scale == "match_rms 0.894427");
  CHECK(plan.rows()[1].weight_decay == 0.1);
}

TEST_CASE("heads of query and key, grouped: each key with its queries") {
  Random random(default_seed);
  // 4 query heads and 2 key heads of size 4, width 10: stored [heads * 4, width].
  Matrix<double> q = gaussian_block({16, 10}, random), k = gaussian_block({8, 10}, random);
  const Matrix<double> g_q = gaussian_block({16, 10}, random), g_k = gaussian_block({8, 10}, random);
  const Matrix<double> q0 = q, k0 = k;
  Stack stack;
  const OptimizerOptions options{.learning_rate = 0.1, .momentum = 0};
  stack.add_pair<QueryKey>(
      "attention", q, g_q, k, g_k, options,
      {.a = layout::row_heads(4, layout::transposed()), .b = layout::row_heads(2, layout::transposed())});
  stack.step();
  for (Index pair = 0; pair < 2; ++pair) {
    std::vector<Matrix<double>> a, g_a;
    for (Index head = 2 * pair; head < 2 * pair + 2; ++head) {
      a.emplace_back(q0.middleRows(4 * head, 4).transpose());
      g_a.emplace_back(g_q.middleRows(4 * head, 4).transpose());
    }
    Matrix<double> b = k0.middleRows(4 * pair, 4).transpose();
    const Matrix<double> g_b = g_k.middleRows(4 * pair, 4).transpose();
    PairOptimizer<PairUpdate<QueryKey>, double> optimizer(10, 10, 4, options, {.blocks_of_a = 2});
    optimizer.step(a, g_a, b, g_b);
    CHECK(relative_error(k.middleRows(4 * pair, 4), b.transpose()) <= 1e-14);
    for (Index head = 0; head < 2; ++head)
      CHECK(relative_error(q.middleRows(4 * (2 * pair + head), 4),
                           a[static_cast<std::size_t>(head)].transpose()) <= 1e-14);
  }
}

TEST_CASE("value and output by heads, neurons, and experts") {
  Random random(default_seed);
  Matrix<double> o = gaussian_block({10, 16}, random), v = gaussian_block({8, 10}, random);
  Matrix<double> g_o = o, g_v = v, up = gaussian_block({9, 6}, random), down = gaussian_block({6, 9}, random),
                 g_up = up, g_down = down;
  std::vector<double> experts(2 * 9 * 6), g_experts(experts.size(), 0.5), downs(experts.size()),
      g_downs(experts.size(), 0.25);
  for (std::size_t i = 0; i < experts.size(); ++i) {
    experts[i] = gaussian_block({1, 1}, random)(0, 0);
    downs[i] = gaussian_block({1, 1}, random)(0, 0);
  }
  Stack stack({.learning_rate = 1e-2});
  stack.add_pair<ValueOutput>(
      "vo", o, g_o, v, g_v, {.a = layout::column_heads(4), .b = layout::row_heads(2, layout::transposed())});
  stack.add_pair<NeuronPair>("mlp", up, g_up, down, g_down, {.a = layout::transposed()});
  stack.add_pair<NeuronPair>("experts", TensorView<double>(experts.data(), {2, 9, 6}),
                             TensorView<const double>(g_experts.data(), {2, 9, 6}),
                             TensorView<double>(downs.data(), {2, 6, 9}),
                             TensorView<const double>(g_downs.data(), {2, 6, 9}),
                             {.a = layout::experts(layout::transposed()), .b = layout::experts()});
  const Matrix<double> o0 = o, up0 = up;
  CHECK(stack.step().applied);
  CHECK(o != o0);
  CHECK(up != up0);
  CHECK(stack.plan().rows()[4].blocks == "2 of 6x9");
}

TEST_CASE("several tensors share one: they are parameters a.0, a.1") {
  Random random(default_seed);
  std::vector<Matrix<double>> a{gaussian_block({8, 4}, random), gaussian_block({8, 4}, random)};
  const std::vector<Matrix<double>> g_a{gaussian_block({8, 4}, random), gaussian_block({8, 4}, random)};
  Matrix<double> b = gaussian_block({6, 4}, random);
  const Matrix<double> g_b = gaussian_block({6, 4}, random);
  auto a2 = a;
  Matrix<double> b2 = b;
  const OptimizerOptions options{.learning_rate = 0.1};
  std::vector<TensorView<double>> views;
  std::vector<TensorView<const double>> gradients;
  for (std::size_t k = 0; k < a.size(); ++k) {
    views.emplace_back(a[k]);
    gradients.emplace_back(g_a[k]);
  }
  Stack stack;
  stack.add_pair<LoraPair>("shared", views, gradients, b, g_b, options);
  CHECK(stack.contains("shared.a.1"));
  PairOptimizer<PairUpdate<LoraPair>, double> optimizer(8, 6, 4, options, {.blocks_of_a = 2});
  stack.step();
  optimizer.step(a2, g_a, b2, g_b);
  CHECK(same_bits(b, b2));
  CHECK(same_bits(a[0], a2[0]));
  CHECK(same_bits(a[1], a2[1]));
}

TEST_CASE("a block without a gradient stays, and the other one steps by its metric") {
  Lora lora;
  Stack stack;
  stack.add_pair<LoraPair>("q", lora.up, lora.g_up, lora.down, std::nullopt,
                           {.learning_rate = 0.1, .momentum = 0}, {.b = layout::transposed()},
                           {.damping = 0});
  const Matrix<double> up0 = lora.up, down0 = lora.down;
  CHECK(stack.step().applied);
  CHECK(same_bits(lora.down, down0));
  Matrix<double> u_a = lora.g_up, u_b = down0.transpose();
  PairUpdate<LoraPair>()(up0, down0.transpose(), lora.g_up, lora.g_down.transpose(), u_a, u_b);
  CHECK(relative_error(lora.up, up0 - 0.05 * u_a) <= 1e-14);
}

TEST_CASE("clipping multiplies the gradients of both blocks, where the rule sees their size") {
  Lora clipped, scaled, polar;
  Stack stack, other, scale_free;
  const auto add = [](Stack& to, Lora& lora) {
    to.add_pair<PairUpdate<LoraPair, Identity>>("q", lora.up, lora.g_up, lora.down, lora.g_down,
                                                {.learning_rate = 0.1}, {.b = layout::transposed()});
  };
  add(stack, clipped);
  const double norm = std::sqrt(clipped.g_up.squaredNorm() + clipped.g_down.squaredNorm());
  CHECK(clip_by_global_norm(stack, norm / 4).norm == doctest::Approx(norm));
  scaled.g_up /= 4;
  scaled.g_down /= 4;
  add(other, scaled);
  stack.step();
  other.step();
  CHECK(relative_error(clipped.up, scaled.up) <= 1e-14);
  CHECK(relative_error(clipped.down, scaled.down) <= 1e-14);
  polar.add_to(scale_free);
  CHECK(clip_by_global_norm(scale_free, norm / 4).clipped.empty());
}

TEST_CASE("a gradient that is not finite, of either block or of another parameter, changes nothing") {
  Lora lora;
  Matrix<double> w = Matrix<double>::Random(3, 3), g = w;
  Stack stack;
  lora.add_to(stack);
  stack.add<HiddenMatrix>("w", w, g, {.learning_rate = 0.1});
  stack.step();
  const std::string before = state_bits(stack);
  const Lora kept = lora;
  for (double* bad : {&lora.g_up(1, 1), &lora.g_down(2, 7), &g(0, 0)}) {
    const double good = *bad;
    *bad = nan;
    CHECK_THROWS_AS(stack.step(), NonFiniteGradient);
    *bad = good;
    CHECK(same_bits(lora.up, kept.up));
    CHECK(same_bits(lora.down, kept.down));
    CHECK(state_bits(stack) == before);
  }
}

/// Throws at each call.
struct Throws {
  Matrix<double> operator()(const Matrix<double>&) const { throw std::runtime_error("no"); }
};

TEST_CASE("a rule that throws after the pair has stepped has it put back, to the bit") {
  Lora lora;
  Matrix<double> w = Matrix<double>::Random(3, 3), g = w;
  Stack stack;
  lora.add_to(stack);
  stack.add<Throws>("w", w, g, {.learning_rate = 0.1});
  const std::string before = state_bits(stack);
  const Lora kept = lora;
  CHECK_THROWS_WITH(stack.step(), "no");
  CHECK(same_bits(lora.up, kept.up));
  CHECK(same_bits(lora.down, kept.down));
  CHECK(state_bits(stack) == before);
}

TEST_CASE("a step that leaves the range is refused, and nothing has changed") {
  Lora lora;
  lora.g_up *= 1e200;
  lora.g_down *= 1e200;
  for (const NonFinite policy : {NonFinite::throw_error, NonFinite::skip}) {
    Stack stack;
    stack.add_pair<PairUpdate<LoraPair, Identity>>("q", lora.up, lora.g_up, lora.down, lora.g_down,
                                                   {.learning_rate = 1e200, .non_finite = policy},
                                                   {.b = layout::transposed()}, {.damping = 0});
    const Lora kept = lora;
    if (policy == NonFinite::skip) {
      CHECK(!stack.step().applied);
    } else {
      CHECK_THROWS_AS(stack.step(), NonFiniteGradient);
    }
    CHECK(same_bits(lora.up, kept.up));
    CHECK(same_bits(lora.down, kept.down));
  }
}

TEST_CASE("the state of a pair is saved and loaded, bit for bit") {
  Lora first, second;
  Stack stack, resumed;
  first.add_to(stack);
  for (int k = 0; k < 3; ++k) stack.step();
  second.up = first.up;
  second.down = first.down;
  second.add_to(resumed);
  const std::string bytes = interop::state_bytes(stack);
  interop::load_state_bytes(resumed, std::as_bytes(std::span(bytes)));
  stack.step();
  resumed.step();
  CHECK(same_bits(first.up, second.up));
  CHECK(same_bits(first.down, second.down));
  // Another damping is another optimizer.
  Lora third;
  Stack undamped;
  undamped.add_pair<LoraPair>("q", third.up, third.g_up, third.down, third.g_down, {.learning_rate = 0.1},
                              {.b = layout::transposed()}, {.damping = 0});
  CHECK_THROWS(interop::load_state_bytes(undamped, std::as_bytes(std::span(bytes))));
}

TEST_CASE("routing: two patterns that differ in one place give each name its partner") {
  Lora q(1), v(2);
  Matrix<double> head = Matrix<double>::Random(5, 6), g_head = head;
  std::vector<NamedTensor<double>> tensors;
  const auto add = [&](const char* name, Matrix<double>& w, const Matrix<double>& g) {
    tensors.push_back({name, TensorView<double>(w), TensorView<const double>(g)});
  };
  add("layers.0.q_proj.lora_A", q.down, q.g_down);  // B before its A, and not beside it
  add("head", head, g_head);
  add("layers.0.q_proj.lora_B", q.up, q.g_up);
  add("layers.0.v_proj.lora_B", v.up, v.g_up);
  add("layers.0.v_proj.lora_A", v.down, v.g_down);
  const auto lora =
      pair_role<LoraPair, double>(OptimizerOptions{.learning_rate = 0.1}, {.b = layout::transposed()});
  BasicRouting<double> routing;
  routing.add("head", role<LmHead, double>());
  routing.add_pair("layers.*.{q,v}_proj.lora_B", "layers.*.{q,v}_proj.lora_A", lora);
  Stack stack, by_hand;
  stack.route(tensors, routing);
  CHECK(stack.size() == 5);
  Lora q2(1), v2(2);
  q2.add_to(by_hand, "q");
  v2.add_to(by_hand, "v");
  stack.step();
  by_hand.step();
  CHECK(same_bits(q.up, q2.up));
  CHECK(same_bits(q.down, q2.down));
  CHECK(same_bits(v.down, v2.down));

  tensors.pop_back();
  Stack other;
  check_refused([&] { other.route(tensors, routing); },
                {"no partner", "layers.*.{q,v}_proj.lora_A", "'layers.0.v_proj.lora_B'"});
  tensors.erase(tensors.begin());
  tensors[0].name = "layers.1.v_proj.lora_A";
  check_refused([&] { other.route(tensors, routing); }, {"no partner"});
  check_refused([&] { routing.add_pair("a.*", "a.?", lora); }, {"must differ in one place"});
  check_refused([&] { routing.add_pair("same", "same", lora); }, {"must differ in one place"});
  check_refused([&] { routing.add_pair("head", "heads", lora); }, {"has the pattern 'head' already"});
}

TEST_CASE("one side's role for both blocks of a pair is refused") {
  Lora lora, other;
  const auto linked = pair_role<LoraPair, double>(OptimizerOptions{.learning_rate = 0.1}).linked();
  BasicRouting<double> routing;
  routing.add("*.lora_B", linked.a.front());
  std::vector<NamedTensor<double>> tensors;
  for (const auto& [name, of] : {std::pair{"q.lora_B", &lora}, {"v.lora_B", &other}})
    tensors.push_back({name, TensorView<double>(of->up), TensorView<const double>(of->g_up)});
  Stack stack;
  check_refused([&] { stack.route(tensors, routing); },
                {"'v.lora_B'", "'q.lora_B'", "same side", "a role of its own"});
}

TEST_CASE("so is that of a PairOptimizer") {
  Lora first, second;
  const OptimizerOptions options{.learning_rate = 0.1, .parameter = "q"};
  PairOptimizer<PairUpdate<LoraPair>, double> optimizer(12, 20, 4, options), resumed(12, 20, 4, options);
  const auto step = [](auto& by, Lora& lora) {
    by.step(lora.up, lora.g_up, lora.down.transpose(), lora.g_down.transpose());
  };
  for (int k = 0; k < 3; ++k) step(optimizer, first);
  second.up = first.up;
  second.down = first.down;
  const std::string bytes = interop::state_bytes(optimizer);
  interop::load_state_bytes(resumed, std::as_bytes(std::span(bytes)));
  CHECK(resumed.steps() == 3);
  step(optimizer, first);
  step(resumed, second);
  CHECK(same_bits(first.up, second.up));
  CHECK(same_bits(first.down, second.down));
  PairOptimizer<PairUpdate<LoraPair>, double> other(12, 20, 4, options, {.damping = 0});
  CHECK_THROWS(interop::load_state_bytes(other, std::as_bytes(std::span(bytes))));
}

TEST_CASE("pairs that are none are refused with names, both shapes and the remedy; nothing is added") {
  Lora lora;
  Stack stack;
  check_refused([&] { stack.add_pair<LoraPair>("q", lora.up, lora.g_up, lora.down, lora.g_down); },
                {"'q.b'", "12x4", "4x20", "layout::transposed()"});
  check_refused(
      [&] {
        stack.add_pair<QueryKey>("q", lora.up.leftCols(3), lora.g_up.leftCols(3),
                                 lora.down.topRows(3).transpose(), lora.g_down.topRows(3).transpose());
      },
      {"'q.a'", "3 is odd"});
  check_refused(
      [&] {
        stack.add_pair<LoraPair>(
            "q", lora.up, lora.g_up, lora.down, lora.g_down,
            {.a = layout::row_heads(3), .b = layout::column_heads(2, layout::transposed())});
      },
      {"'q.b'", "3 blocks", "'q.b' 2", "multiple"});
  check_refused(
      [&] {
        stack.add_pair<LoraPair>("q", lora.up, lora.g_up, lora.up.transpose(), lora.g_down,
                                 {.b = layout::transposed()});
      },
      {"q.b"});
  check_refused([&] { lora.add_to(stack, "q", {.learning_rate = -1}); }, {"'q.a'", "learning_rate"});
  check_refused([&] { lora.add_to(stack, "q", {.decay = Decay::horizontal}); }, {"Decay::all"});
  CHECK(stack.size() == 0);
  lora.add_to(stack);
  check_refused([&] { lora.add_to(stack); }, {"'q.a'", "is there already"});
  check_refused([&] { stack.set_row_mask("q.a", RowMask::first(3)); }, {"no row mask"});
  CHECK(stack.size() == 2);
  CHECK(stack.step().applied);
  stack.remove("q.b");
  const Matrix<double> up0 = lora.up;
  check_refused([&] { stack.step(); }, {"'q.a'", "'q.b'", "was removed"});
  CHECK(same_bits(lora.up, up0));
  stack.remove("q.a");
  lora.add_to(stack);
  CHECK(stack.step().applied);
}

}}  // namespace stack_pair_test
