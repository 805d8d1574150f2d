// SPDX-License-Identifier: Apache-2.0
// Wrong use of a stack is refused with the parameter's name and the remedy, and the stack stays as it was.
#include "support/named_model.hpp"
#include "support/state_bits.hpp"

#include <symopt/symopt.hpp>

#include <doctest/doctest.h>

#include <cstring>
#include <functional>
#include <sstream>

namespace stack_error_test { namespace {

using namespace symopt;
using namespace symopt_test;

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

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
  CHECK(text.starts_with("symopt: "));
  for (const std::string& word : words) {
    CAPTURE(word);
    CHECK(text.find(word) != std::string::npos);
  }
}

bool same_bits(const std::vector<std::vector<float>>& a, const std::vector<std::vector<float>>& b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i)
    if (a[i].size() != b[i].size() || std::memcmp(a[i].data(), b[i].data(), a[i].size() * sizeof(float)) != 0)
      return false;
  return true;
}

std::string printed(const LayerwiseOptimizer& stack) {
  std::ostringstream text;
  text << stack.plan();
  return text.str();
}

/// A model and its stack of three, with a step done.
struct Fixture {
  NamedModel model = NamedModel().add("head", {5, 3}).add("layers.0.up", {4, 3}).add("norm", {3});
  LayerwiseOptimizer stack;

  Fixture() {
    stack.route(model.tensors(),
                Routing().add("head", role<LmHead>()).add("layers.*.up", role<SwigluInput>()));
    stack.step();
  }

  /// The call is refused with these words, and nothing about the stack is different afterwards.
  void refuses(const std::function<void()>& call, const std::vector<std::string>& words) {
    const std::string plan = printed(stack);
    const auto weights = model.weights();
    const std::string state = state_bits(stack);
    check_refused(call, words);
    CHECK(printed(stack) == plan);
    CHECK(state_bits(stack) == state);
    CHECK(stack.size() == 3);
    CHECK(stack.steps() == 1);
    CHECK(stack.schedule_factor() == 1);
    CHECK(same_bits(model.weights(), weights));
  }
  /// Likewise for a parameter that a call of add would add.
  template <class ClassOrRule>
  void refuses_to_add(const OptimizerOptions& options, const std::vector<std::string>& words,
                      const symopt::detail::role_rule_t<ClassOrRule>& rule = {}) {
    NamedModel other = NamedModel().add("wte", {4, 3});
    ModelParameter& added = other["wte"];
    refuses(
        [&] {
          stack.add<ClassOrRule>("wte", added.weights_view(), added.gradient_view(), options, {}, {}, rule);
        },
        words);
    CHECK_FALSE(stack.contains("wte"));
  }
};

/// The error of route for these names.
void check_misrouted(NamedModel& model, const Routing& routing, const std::vector<std::string>& words) {
  Fixture fixture;
  fixture.refuses([&] { fixture.stack.route(model.tensors(), routing); }, words);
}

NamedModel layers_of(const std::vector<std::string>& names) {
  NamedModel model;
  for (int l = 0; l < 3; ++l)
    for (const std::string& name : names) model.add("layers." + std::to_string(l) + "." + name, {4, 4});
  return model;
}

TEST_CASE("a name without a pattern is told the nearest one, once for all layers") {
  NamedModel model = layers_of({"mlp.up_prj.weight", "mlp.down_proj.weight"});
  Routing routing;
  routing.add("layers.*.mlp.{gate,up}_proj.weight", role<SwigluInput>());
  routing.add("layers.*.mlp.down_proj.weight", role<SwigluOutput>());
  check_misrouted(model, routing,
                  {"no pattern matches the 3 parameters 'layers.[0-2].mlp.up_prj.weight' [4x4]",
                   "the nearest is 'layers.*.mlp.{gate,up}_proj.weight'"});
}

TEST_CASE("a pattern without a parameter is told the nearest name") {
  NamedModel model = layers_of({"mlp.up_proj.weight"});
  Routing routing;
  routing.add("layers.*.mlp.up_proj.weight", role<SwigluInput>())
      .add("layers.*.mlp.up_porj.weight", role<Sign>());
  check_misrouted(model, routing,
                  {"pattern 'layers.*.mlp.up_porj.weight' matches no parameter",
                   "the nearest is 'layers.0.mlp.up_proj.weight'"});
  NamedModel none;
  check_misrouted(none, routing,
                  {"'layers.*.mlp.up_porj.weight' matches no parameter; where a model need not have it, use "
                   "add_optional()"});
  check_misrouted(model, Routing(), {"no pattern matches the 3 parameters", "add one for it"});
}

TEST_CASE("a parameter that two patterns match is refused with both") {
  NamedModel model = layers_of({"q_proj"});
  Routing routing;
  routing.add("layers.*.{q,k}_proj", role<SwigluInput>()).add("**.q_proj", role<Sign>());
  check_misrouted(model, routing,
                  {"'layers.*.{q,k}_proj' and '**.q_proj' both match the 3 parameters 'layers.[0-2].q_proj'",
                   "exact name"});
}

TEST_CASE("all that does not fit is said at once") {
  NamedModel model = layers_of({"a.weight", "b.weight"});
  model.add("norm", {3});
  Routing routing;
  routing.add("layers.*.a.weight", role<Sign>()).add("layers.**.a.weight", role<Sign>());
  routing.add("lm_head", role<LmHead>());
  check_misrouted(
      model, routing,
      {"layers.[0-2].a.weight", "layers.[0-2].b.weight", "pattern 'lm_head' matches no parameter; where"});
}

TEST_CASE("a star that stops at a dot, and what wrappers put before names, are said") {
  NamedModel model = layers_of({"up.weight"});
  check_misrouted(
      model, Routing().add("layers.*.weight", role<Sign>()),
      {"no pattern matches the 3 parameters 'layers.[0-2].up.weight' [4x4]; 'layers.*.weight' would",
       "* stops at a dot, ** does not: 'layers.**.weight'",
       "pattern 'layers.*.weight' matches no parameter; it would match 'layers.0.up.weight' if"});
  const Routing routing = Routing().add("layers.*.up.weight", role<Sign>());
  for (const char* wrapped : {"module.layers.0.up.weight", "_orig_mod.layers.0.up.weight",
                              "module._orig_mod.layers.0.up.weight", "layers.0._orig_mod.up.weight"}) {
    NamedModel wrapper = NamedModel().add(wrapped, {4, 4});
    check_misrouted(
        wrapper, routing,
        {std::string("'") + wrapped + "'", "'layers.*.up.weight' would without what a wrapper put",
         "as 'layers.0.up.weight'", "matches no parameter; it would match"});
  }
}

TEST_CASE("an error of ten thousand names is a page") {
  NamedModel model;
  for (int i = 0; i < 10000; ++i) model.add("expert_" + std::to_string(i), {1, 1});
  const std::string text = refusal([&] { LayerwiseOptimizer().route(model.tensors(), Routing()); });
  CHECK(text.size() < 3000);
  CHECK(text.find("'expert_0' [1x1]") != std::string::npos);
  CHECK(text.ends_with("and 9980 more"));

  LayerwiseOptimizer stack;
  stack.route(model.tensors(), Routing().add("*", role<Sign>()));
  for (ModelParameter& parameter : model.parameters)
    parameter.gradient[0] = std::numeric_limits<float>::infinity();
  const std::string of_gradients = refusal([&] { stack.step(); });
  CHECK(of_gradients.size() < 1000);
  CHECK(of_gradients.find("'expert_9' and 9990 more has") != std::string::npos);

  NamedModel scattered;
  for (int i = 0; i < 3000; i += 1 + i % 3) scattered.add("layers." + std::to_string(i * i) + ".up", {1, 1});
  const std::string of_numbers = refusal([&] { stack.route(scattered.tensors(), Routing()); });
  CHECK(of_numbers.size() < 300);
}

TEST_CASE("a pattern is added once, and a refused one leaves the routing as it was") {
  Routing routing;
  routing.add("layers.*.up", role<SwigluInput>());
  check_refused([&] { routing.add("layers.*.up", role<Sign>()); }, {"'layers.*.up'", "already"});
  check_refused([&] { routing.add_optional("layers.*.up", role<Sign>()); }, {"'layers.*.up'", "already"});
  NamedModel model = layers_of({"up"});
  LayerwiseOptimizer stack;
  stack.route(model.tensors(), routing);
  CHECK(stack.plan().rows()[0].rule == "RowNorm");
}

TEST_CASE("a brace without its other half is refused with the pattern") {
  for (const char* pattern : {"{q,k_proj", "q,k}_proj", "{q,{k,v}_proj", "}q{"})
    check_refused([&] { Glob glob(pattern); }, {std::string("'") + pattern + "'", "brace"});
}

TEST_CASE("tensors of one dimension are not given to a rule for matrices") {
  check_refused([] { Routing().set_vectors(role<LmHead>()); }, {"one dimension", "AdamW"});
  Fixture fixture;
  std::vector<float> gain(3), gradient(3);
  fixture.refuses(
      [&] {
        fixture.stack.add<HiddenMatrix>("gain", TensorView<float>(gain.data(), {3}),
                                        TensorView<const float>(gradient.data(), {3}));
      },
      {"'gain'", "shape 3", "AdamW"});
}

NamedModel small_qwen3(bool with_head) {
  NamedModel model;
  model.add("model.embed_tokens.weight", {10, 4});
  const std::string layer = "model.layers.0.";
  for (const char* name : {"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj",
                           "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"})
    model.add(layer + name + ".weight", {4, 4});
  if (with_head) model.add("lm_head.weight", {10, 4});
  return model;
}

TEST_CASE("a rule set for a head of its own, without one, points to tied embeddings; and the reverse") {
  NamedModel tied = small_qwen3(false);
  NamedModel untied = small_qwen3(true);
  check_misrouted(tied, qwen3({2, 1}, Embeddings::untied),
                  {"pattern 'lm_head.weight' matches no parameter", "Embeddings::tied"});
  check_misrouted(
      untied, qwen3({2, 1}, Embeddings::tied),
      {"no pattern matches parameter 'lm_head.weight' [10x4]", "leave it out", "Embeddings::tied"});
  check_misrouted(untied, gemma3({2, 1}), {"'lm_head.weight'", "leave it out"});
}

TEST_CASE("a head in the embedding's memory points to TiedEmbedding") {
  NamedModel model = small_qwen3(true);
  auto tensors = model.tensors();
  tensors.back().weights = model["model.embed_tokens.weight"].weights_view();
  Fixture fixture;
  fixture.refuses(
      [&] {
        fixture.stack.route(tensors, qwen3({2, 1}, Embeddings::untied));
      },
      {"'model.embed_tokens.weight'", "'lm_head.weight'", "share memory", "TiedEmbedding",
       "Embeddings::tied"});
}

TEST_CASE("heads that the model cannot have are refused, before and at the tensor") {
  check_refused([] { qwen3({3, 2}, Embeddings::tied); }, {"3 query heads", "2 key-value heads"});
  check_refused([] { gpt_oss({0, 1}); }, {"0 query heads"});
  NamedModel model = small_qwen3(false);
  check_misrouted(model, qwen3({6, 2}, Embeddings::tied),
                  {"'model.layers.0.self_attn.q_proj.weight'", "4x4", "6 heads"});
}

TEST_CASE("names stand for one parameter") {
  Fixture fixture;
  NamedModel model = NamedModel().add("new", {2, 2}).add("head", {2, 2});
  NamedModel twins = NamedModel().add("new", {2, 2}).add("new", {2, 2});
  const Routing routing = Routing().add("**", role<Sign>());
  fixture.refuses([&] { fixture.stack.route(model.tensors(), routing); }, {"'head'", "already"});
  fixture.refuses([&] { fixture.stack.route(twins.tensors(), routing); }, {"'new'", "already"});
  fixture.refuses([&] { fixture.stack.add<Sign>("norm", model["new"].weights_view(), std::nullopt); },
                  {"'norm'", "already"});
  CHECK_FALSE(fixture.stack.contains("new"));
}

TEST_CASE("parameters that share memory are refused with both names") {
  Fixture fixture;
  ModelParameter& head = fixture.model["head"];
  const TensorView<float> last_row(head.weights.data() + 12, {1, 3});
  fixture.refuses([&] { fixture.stack.add<Sign>("row", last_row, std::nullopt); },
                  {"'head'", "'row'", "share memory"});
  std::vector<float> memory(12);
  fixture.refuses(
      [&] {
        fixture.stack.route({{"a", {memory.data(), {2, 4}}}, {"b", {memory.data() + 7, {1, 5}}}},
                            Routing().add("*", role<Sign>()));
      },
      {"'a'", "'b'", "share memory"});
}

TEST_CASE("weights that are one number under several indices are refused") {
  Fixture fixture;
  std::vector<float> row(3);
  fixture.refuses(
      [&] {
        fixture.stack.add<Sign>("w", TensorView<float>(row.data(), {4, 3}, {0, 1}), std::nullopt);
      },
      {"'w'", "4x3", "the same memory", "expanded"});
  fixture.refuses(
      [&] {
        fixture.stack.add<Sign>("w", TensorView<float>(row.data(), {2, 2}, {1, 1}), std::nullopt);
      },
      {"'w'", "2x2", "the same memory", "unfolded"});
  fixture.stack.add<Sign>("row", TensorView<float>(row.data(), {1, 3}, {0, 1}), std::nullopt);
  std::vector<float> woven(9);  // elements 0 2 3 5 6 8: neither dimension encloses the other
  fixture.stack.add<Sign>("woven", TensorView<float>(woven.data(), {3, 2}, {3, 2}), std::nullopt);
}

TEST_CASE("weights without elements are not refused, whatever their strides") {
  for (const std::vector<Index>& sizes : {std::vector<Index>{4, 0}, {0, 4}, {3, 0, 4}, {3, 4, 0}, {0, 4, 4}})
    for (const bool stateful : {false, true}) {
      float nothing = 0;
      const TensorView<float> weights(&nothing, sizes);
      LayerwiseOptimizer stack;
      const Role role = stateful ? symopt::role<AdamW>() : symopt::role<LmHead>();
      stack.add("w", role.with(sizes.size() == 3 ? layout::experts() : layout::whole()), weights, weights);
      CHECK(stack.step().applied);
    }
  Matrix<float> weights(4, 0), gradient(4, 0);
  LayerwiseOptimizer stack;
  stack.add<HiddenMatrix>("w", weights, gradient);
  CHECK(stack.step().applied);
}

static_assert(std::is_move_constructible_v<LayerwiseOptimizer> &&
              std::is_move_assignable_v<LayerwiseOptimizer> &&
              !std::is_copy_constructible_v<LayerwiseOptimizer> &&
              !std::is_copy_assignable_v<LayerwiseOptimizer>);

TEST_CASE("a stack that was moved goes on, masks included") {
  NamedModel model = NamedModel().add("head", {5, 3}), same = NamedModel().add("head", {5, 3});
  same.parameters = model.parameters;
  const Routing routing =
      Routing().add("head", role<LmHead>({}, {}, RowMask({true, false, true, true, false})));
  LayerwiseOptimizer stack, unmoved;
  stack.route(model.tensors(), routing);
  unmoved.route(same.tensors(), routing);
  LayerwiseOptimizer moved = std::move(stack);
  stack = std::move(moved);
  stack.step();
  unmoved.step();
  CHECK(same_bits(model.weights(), same.weights()));
}

TEST_CASE("weights and gradient may be parts of vectors, and the gradient an optional map") {
  Eigen::VectorXf weights = Eigen::VectorXf::Zero(6), gradient = Eigen::VectorXf::Ones(6);
  LayerwiseOptimizer stack;
  stack.add<Sign>("bias", weights.segment(1, 3), std::as_const(gradient).tail(3),
                  {.learning_rate = 0.5, .momentum = 0});
  stack.add<Sign>("first", weights.head(1),
                  std::optional(Eigen::Map<const Eigen::VectorXf>(gradient.data(), 1)),
                  {.learning_rate = 1, .momentum = 0});
  stack.step();
  CHECK(weights == (Eigen::VectorXf(6) << -1, -0.5, -0.5, -0.5, 0, 0).finished());
}

TEST_CASE("parameters beside each other in one matrix share no memory") {
  Matrix<float> memory = Matrix<float>::Ones(4, 8);
  auto left = memory.leftCols(3);
  auto middle = memory.middleCols(3, 3);
  auto gradient = memory.rightCols(2);
  LayerwiseOptimizer stack;
  stack.add<Sign>("left", left, std::nullopt, {.learning_rate = 0.5, .momentum = 0});
  stack.add<Sign>("middle", middle, std::nullopt);
  auto narrow = memory.middleCols(2, 1);
  check_refused([&] { stack.add<Sign>("narrow", narrow, std::nullopt); }, {"'left'", "'narrow'"});
  stack.set_gradient("left", TensorView<const float>(memory.data() + 6, {4, 3}, {0, 0}));
  CHECK(refusal([&] { stack.add<Sign>("right", gradient, std::nullopt); }) == "");
  stack.step();
  CHECK(left == Matrix<float>::Constant(4, 3, 0.5F));
  CHECK(middle == Matrix<float>::Ones(4, 3));
}

TEST_CASE("weights and gradient that overlap are refused, when adding and later") {
  Fixture fixture;
  std::vector<float> memory(20);
  const TensorView<float> weights(memory.data(), {4, 3});
  const TensorView<const float> gradient(memory.data() + 8, {4, 3});
  fixture.refuses([&] { fixture.stack.add<Sign>("w", weights, weights); }, {"'w'", "overlap"});
  fixture.refuses([&] { fixture.stack.add<Sign>("w", weights, gradient); }, {"'w'", "overlap"});
  fixture.refuses([&] { fixture.stack.set_gradient("head", fixture.model["head"].weights_view()); },
                  {"'head'", "overlap"});
}

TEST_CASE("a step writes no memory that it reads elsewhere, and both parameters are named") {
  std::vector<float> memory(96);
  std::vector<bfloat16> small(48);
  const auto floats = [&](std::size_t first) { return TensorView<float>(memory.data() + first, {4, 3}); };
  const auto copy = [&](std::size_t first) { return TensorView<bfloat16>(small.data() + first, {4, 3}); };
  // The floats of w's gradient, as memory of a copy.
  const auto inside = [&](std::size_t first) {
    return TensorView<bfloat16>(reinterpret_cast<bfloat16*>(memory.data() + first), {4, 3});
  };
  LayerwiseOptimizer stack;
  const auto add_with_copy = [&](const char* name, std::size_t first, std::size_t first_of_copy) {
    const TensorView<float> weights = floats(first);
    TensorView<bfloat16> target = copy(first_of_copy);
    stack.add<Sign>(name, with_copy(weights, target), floats(first + 12));
  };
  add_with_copy("v", 0, 0);
  add_with_copy("w", 24, 12);
  CHECK(stack.step().applied);
  const auto refuses = [&](const std::vector<std::string>& words) {
    const auto before = memory;
    check_refused([&] { stack.step(); }, words);
    CHECK(memory == before);
  };

  stack.set_copy("v", inside(12));
  refuses({"parameter 'v': copy and gradient overlap in memory"});
  stack.set_copy("v", inside(40));
  refuses({"copy of parameter 'v'", "gradient of parameter 'w'", "overlap in memory"});
  stack.set_copy("v", inside(24));
  refuses({"weights of parameter 'w'", "copy of parameter 'v'", "overlap in memory"});
  stack.set_copy("v", copy(20));
  refuses({"copy of parameter 'w'", "copy of parameter 'v'", "overlap in memory"});
  stack.set_copy("v", copy(0));
  CHECK(stack.step().applied);

  stack.set_gradient("v", floats(26));
  refuses({"gradient of parameter 'v'", "weights of parameter 'w'", "overlap in memory"});
  stack.set_gradient("v", floats(36));  // two may read the same
  CHECK(stack.step().applied);
  stack.set_weights("w", floats(36));
  refuses({"overlap in memory"});
  stack.set_gradient("v", floats(12));
  refuses({"parameter 'w': weights and gradient overlap in memory"});
  stack.set_gradient("w", floats(24));
  CHECK(stack.step().applied);
  stack.set_weights("v", floats(40));
  refuses({"parameters 'v' and 'w' share memory"});
  // What is about to move is not refused on its way: the two change places.
  stack.set_weights("v", floats(36));
  stack.set_weights("w", floats(0));
  CHECK(stack.step().applied);

  // What is added is compared at once.
  check_refused([&] { add_with_copy("x", 60, 22); }, {"copy of parameter 'w'", "copy of parameter 'x'"});
  Matrix<std::uint16_t> low = Matrix<std::uint16_t>::Zero(4, 3);
  Matrix<bfloat16> high(4, 3), other(4, 3);
  high.setZero();
  stack.add<Sign>("halves", split_weights(high, low), floats(72));
  check_refused([&] { stack.add<Sign>("twin", split_weights(other, low), floats(72)); },
                {"'halves'", "'twin'", "share memory"});
  const TensorView<float> in_low(reinterpret_cast<float*>(low.data()), {4, 3}, {0, 0});
  check_refused([&] { stack.set_gradient("halves", in_low); },
                {"parameter 'halves': weights and gradient overlap in memory"});
  CHECK(stack.size() == 3);
  CHECK(stack.step().applied);
  // What was refused left nothing: its weights' memory is free.
  check_refused([&] { add_with_copy("x", 60, 22); }, {"copy of parameter 'x'"});
  stack.set_gradient("v", floats(60));
  CHECK(stack.step().applied);
}

TEST_CASE("copies and halves have the shape of the weights") {
  Matrix<float> weights = Matrix<float>::Ones(6, 4), moved = weights;
  Matrix<bfloat16> copy(6, 4), small(3, 4), high(6, 4);
  Matrix<std::uint16_t> low = Matrix<std::uint16_t>::Zero(6, 4), small_low = low.topRows(3);
  copy.setZero();
  small.setZero();
  high.setZero();
  LayerwiseOptimizer stack;
  const Layout experts = layout::experts();
  check_refused([&] { stack.add<AdamW>("w", with_copy(weights, small), weights); },
                {"'w'", "the copy is 3x4 but the weights are 6x4"});
  check_refused([&] { stack.add<AdamW>("w", split_weights(high, small_low), weights); },
                {"'w'", "the lower half is 3x4 but the weights are 6x4"});
  std::vector<float> tensor(24, 1);
  std::vector<bfloat16> half(12);
  const TensorView<float> whole(tensor.data(), {2, 3, 4});
  const TensorView<bfloat16> part(half.data(), {1, 3, 4});
  check_refused([&] { stack.add<Embedding>("experts", with_copy(whole, part), std::nullopt, experts); },
                {"'experts'", "the copy is 1x3x4 but the weights are 2x3x4"});
  CHECK(stack.size() == 0);

  Matrix<float> gradient = weights;
  stack.add<AdamW>("w", with_copy(weights, copy), gradient);
  check_refused([&] { stack.set_weights("w", with_copy(moved, small)); },
                {"'w'", "the copy is 3x4 but the weights are 6x4"});
  const TensorView<bfloat16> one_row(copy.data(), {6, 4}, {0, 1});
  check_refused([&] { stack.set_weights("w", with_copy(moved, one_row)); }, {"'w'", "the same memory"});
  CHECK(stack.step().applied);
  CHECK(weights != moved);
  CHECK(copy.cast<float>() != Matrix<float>(Matrix<float>::Zero(6, 4)));
}

TEST_CASE("memory that runs backwards is stepped as memory that runs forwards") {
  for (const Index rows : {1, 4})
    for (const Index cols : {3, 40}) {
      CAPTURE(rows);
      CAPTURE(cols);
      const auto size = static_cast<std::size_t>(rows * cols);
      NamedModel model = NamedModel().add("w", {rows, cols});
      std::vector<float> weights(model["w"].weights.rbegin(), model["w"].weights.rend());
      const std::vector<float> gradient(model["w"].gradient.rbegin(), model["w"].gradient.rend());
      LayerwiseOptimizer forwards, backwards;
      const auto add_both = [&]<class Rule>() {
        forwards.add<Rule>("w", model["w"].weights_view(), model["w"].gradient_view());
        backwards.add<Rule>("w", TensorView<float>(weights.data() + size - 1, {rows, cols}, {-cols, -1}),
                            TensorView<const float>(gradient.data() + size - 1, {rows, cols}, {-cols, -1}));
      };
      const auto compare = [&] {
        for (int step = 0; step < 3; ++step) {
          forwards.step();
          backwards.step();
        }
        const std::vector<float> reversed(weights.rbegin(), weights.rend());
        for (std::size_t i = 0; i < size; ++i) CHECK(reversed[i] == model["w"].weights[i]);
        forwards.remove("w");
        backwards.remove("w");
      };
      add_both.operator()<LmHead>();
      compare();
      add_both.operator()<SwigluInput>();
      compare();
      add_both.operator()<AdamW>();
      compare();
      add_both.operator()<HiddenMatrix>();
      compare();
    }
}

TEST_CASE("a gradient of another shape is refused with both") {
  Fixture fixture;
  std::vector<float> weights(12), gradient(12);
  const TensorView<float> of_weights(weights.data(), {4, 3});
  const TensorView<const float> transposed(gradient.data(), {3, 4});
  fixture.refuses([&] { fixture.stack.add<Sign>("w", of_weights, transposed); }, {"'w'", "3x4", "4x3"});
  fixture.refuses(
      [&] {
        fixture.stack.route(
            {{"fine", {weights.data(), {2, 3}}}, {"w", {weights.data() + 6, {2, 3}}, transposed}},
            Routing().add("*", role<Sign>()));
      },
      {"'w'", "3x4", "2x3"});
  CHECK_FALSE(fixture.stack.contains("fine"));
  fixture.refuses([&] { fixture.stack.set_gradient("head", transposed); }, {"'head'", "3x4", "5x3"});
  fixture.refuses([&] { fixture.stack.set_weights("head", of_weights); }, {"'head'", "4x3", "5x3"});
}

TEST_CASE("dimensions that no layout accounts for are refused with the layout that would") {
  Fixture fixture;
  std::vector<float> memory(48);
  const auto add = [&](std::vector<Index> sizes, const Layout& layout) {
    return [&fixture, &memory, sizes, layout] {
      fixture.stack.add<HiddenMatrix>("w", TensorView<float>(memory.data(), sizes), std::nullopt, {}, layout);
    };
  };
  fixture.refuses(add({2, 4, 6}, {}), {"'w'", "2x4x6", "layout::experts()", "layout::as_matrix()"});
  fixture.refuses(add({2, 2, 3, 4}, {}), {"'w'", "2x2x3x4", "layout::as_matrix()"});
  fixture.refuses(add({6, 8}, layout::experts()), {"'w'", "6x8", "experts"});
  fixture.refuses(add({6, 8}, layout::row_heads(4)), {"'w'", "6x8", "4 heads"});
  fixture.refuses(add({6, 8}, layout::row_sections({2, 3})), {"'w'", "6x8", "sections 2 3"});
  fixture.refuses(add({3, 16}, layout::gate_up(GateUp::concatenated, Neurons::apart)),
                  {"'w'", "3x16", "even"});
}

TEST_CASE("one bad parameter among many adds none") {
  Fixture fixture;
  NamedModel model = NamedModel().add("a", {2, 2}).add("b", {2, 2}).add("cube", {2, 2, 2});
  fixture.refuses([&] { fixture.stack.route(model.tensors(), Routing().add("*", role<HiddenMatrix>())); },
                  {"'cube'", "2x2x2", "layout::experts()"});
  CHECK_FALSE(fixture.stack.contains("a"));
}

TEST_CASE("options out of range are refused with the parameter, the option and its value") {
  Fixture fixture;
  for (const double bad : {-1.0, nan, infinity}) {
    fixture.refuses_to_add<LmHead>({.learning_rate = bad}, {"'wte'", "learning_rate"});
    fixture.refuses_to_add<LmHead>({.momentum = bad}, {"'wte'", "momentum"});
    fixture.refuses_to_add<LmHead>({.weight_decay = bad}, {"'wte'", "weight_decay"});
    fixture.refuses([&] { fixture.stack.set_learning_rate("head", bad); }, {"'head'", "learning_rate"});
    fixture.refuses([&] { fixture.stack.set_schedule_factor(bad); }, {"schedule factor"});
  }
  fixture.refuses_to_add<LmHead>({.momentum = 1}, {"'wte'", "momentum is 1", "less than 1"});
  fixture.refuses([&] { fixture.stack.set_schedule_factor(-1e-9); }, {"schedule factor is -1e-09"});
}

TEST_CASE("options that do not fit the rule are refused with the parameter and the remedy") {
  Fixture fixture;
  fixture.refuses_to_add<Embedding>({.decay = Decay::horizontal},
                                    {"'wte'", "horizontal", "shift", "Decay::all"});
  fixture.refuses_to_add<TiedEmbedding>({.decay = Decay::horizontal}, {"'wte'", "horizontal"});
  fixture.refuses_to_add<AdamW>({.decay = Decay::horizontal}, {"'wte'", "horizontal"});
  fixture.refuses_to_add<AdamW>({.momentum = 0.5}, {"'wte'", "its own momentum"});
  fixture.refuses_to_add<AdamW>({.nesterov = true}, {"'wte'", "its own momentum"});
  fixture.refuses_to_add<AdamW>({.momentum_convention = MomentumConvention::heavy_ball},
                                {"'wte'", "its own momentum"});
}

TEST_CASE("options of the rule out of range are refused with the parameter") {
  Fixture fixture;
  fixture.refuses_to_add<RowNorm>({}, {"symopt: parameter 'wte': RowNorm::eps"}, {.eps = -1});
  fixture.refuses_to_add<AdamW>({}, {"'wte'", "AdamW::beta1"}, {.beta1 = 1});
  fixture.refuses_to_add<Spectral<polar::NewtonSchulz>>({}, {"'wte'", "steps"}, {{.steps = 0}});
}

TEST_CASE("a tensor without dimensions is one number, and one of one dimension has no layout") {
  float weight = 1, gradient = -2;
  LayerwiseOptimizer stack;
  stack.add<AdamW>("temperature", TensorView<float>(&weight, {}), TensorView<const float>(&gradient, {}),
                   {.learning_rate = 0.25});
  stack.step();
  CHECK(weight == doctest::Approx(1.25));
  CHECK(stack.plan().rows().front().blocks == "1 of 1x1");

  std::vector<float> gain(4), gain_gradient(4);
  check_refused(
      [&] {
        stack.add<AdamW>("gain", TensorView<float>(gain.data(), {4}),
                         TensorView<const float>(gain_gradient.data(), {4}), {}, layout::row_heads(2));
      },
      {"'gain' of shape 4", "leave its layout out"});
  check_refused(
      [&] {
        stack.add<AdamW>("gain", TensorView<float>(gain.data(), {4}),
                         TensorView<const float>(gain_gradient.data(), {4}), {}, {}, RowMask::first(2));
      },
      {"'gain' of shape 4", "one row", "leave its row mask out"});
}

TEST_CASE("a row mask of another size is refused with both") {
  Fixture fixture;
  std::vector<float> memory(12);
  const TensorView<float> weights(memory.data(), {4, 3});
  const auto add = [&](const RowMask& mask) {
    return [&fixture, weights, mask] { fixture.stack.add<LmHead>("w", weights, std::nullopt, {}, {}, mask); };
  };
  fixture.refuses(add(RowMask::first(5)), {"'w'", "5 rows exist", "4 rows"});
  fixture.refuses(add(RowMask(std::vector<bool>(3, true))), {"'w'", "3 rows", "4 rows"});
  fixture.refuses([&] { fixture.stack.set_row_mask("head", RowMask::first(6)); },
                  {"'head'", "6 rows exist", "5 rows"});
  fixture.refuses([&] { fixture.stack.set_row_mask("norm", RowMask::first(1)); }, {"'norm'", "state"});
}

TEST_CASE("a setter with an unknown name says so, with the nearest") {
  Fixture fixture;
  LayerwiseOptimizer& stack = fixture.stack;
  const TensorView<float> weights = fixture.model["head"].weights_view();
  const std::vector<std::string> words{"no parameter 'haed'", "'head'"};
  fixture.refuses([&] { stack.set_learning_rate("haed", 0.5); }, words);
  fixture.refuses([&] { stack.set_gradient("haed", fixture.model["head"].gradient_view()); }, words);
  fixture.refuses([&] { stack.set_gradient("haed", std::nullopt); }, words);
  fixture.refuses([&] { stack.set_weights("haed", weights); }, words);
  fixture.refuses([&] { stack.set_row_mask("haed", RowMask()); }, words);
  fixture.refuses([&] { (void)stack.options("haed"); }, words);
  check_refused([] { LayerwiseOptimizer().set_learning_rate("head", 1); }, {"'head'", "empty"});
}

/// A model of every kind of parameter: with a shift, in heads, stored transposed, stateful, with a mask.
struct Trained {
  NamedModel model = NamedModel()
                         .add("head", {6, 4})
                         .add("layers.0.q", {6, 4})
                         .add("layers.1.q", {6, 4})
                         .add("experts.down", {2, 3, 4})
                         .add("padded", {5, 3})
                         .add("norm", {4});
  LayerwiseOptimizer stack;

  explicit Trained(NonFinite policy) {
    const OptimizerOptions options{.learning_rate = 0.1, .weight_decay = 0.1, .non_finite = policy};
    model["head"].weights[5] = std::numeric_limits<float>::denorm_min();
    model["head"].weights[6] = -0.0F;
    Routing routing;
    routing.add("head", role<LmHead>(options));
    routing.add("layers.*.q", role<HiddenMatrix>(options, layout::row_heads(3)));
    routing.add("experts.down", role<SwigluOutput>(options, layout::experts(layout::transposed())));
    routing.add("padded", role<Embedding>(options, {}, RowMask::first(4)));
    routing.set_vectors(role<AdamW>(options));
    stack.route(model.tensors(), routing);
    good_step();
  }

  void good_step() {
    model.draw_gradients();
    CHECK(stack.step().applied);
  }
};

constexpr float bad_values[] = {std::numeric_limits<float>::quiet_NaN(),
                                std::numeric_limits<float>::infinity(),
                                -std::numeric_limits<float>::infinity()};

/// One trajectory, with and without steps whose gradients are bad.
void check_without_trace(NonFinite policy, const std::function<void(Trained&)>& bad_step) {
  CAPTURE(default_seed);
  Trained with(policy), without(policy);
  for (const float bad : bad_values)
    for (std::size_t p = 0; p < with.model.parameters.size(); ++p) {
      // The last entry of a padded parameter lies in a row that does not exist.
      std::vector<float>& gradient = with.model.parameters[p].gradient;
      const std::size_t place = with.model.parameters[p].name == "padded" ? 0 : gradient.size() - 1;
      CAPTURE(with.model.parameters[p].name);
      const float good = std::exchange(gradient[place], bad);
      const auto before = with.model.weights();
      const std::string state_before = state_bits(with.stack);
      bad_step(with);
      CHECK(same_bits(with.model.weights(), before));
      CHECK(state_bits(with.stack) == state_before);
      CHECK(with.stack.steps() == 1);
      with.model.parameters[p].gradient[place] = good;
    }
  for (int step = 0; step < 3; ++step) {
    with.good_step();
    without.good_step();
    CHECK(same_bits(with.model.weights(), without.model.weights()));
  }
}

TEST_CASE("a gradient that is not finite is refused without a trace") {
  check_without_trace(NonFinite::throw_error,
                      [](Trained& trained) { check_refused([&] { trained.stack.step(); }, {"Inf or NaN"}); });
}

TEST_CASE("a step with a gradient that is not finite is skipped without a trace and reported") {
  check_without_trace(NonFinite::skip, [](Trained& trained) {
    const StackReport report = trained.stack.step();
    CHECK_FALSE(report.applied);
    CHECK(report.step == 1);
    CHECK(report.non_finite.size() == 1);
  });
}

TEST_CASE("all parameters whose gradients are not finite are named") {
  Trained trained(NonFinite::throw_error);
  trained.model["layers.0.q"].gradient[3] = bad_values[0];
  check_refused([&] { trained.stack.step(); },
                {"the gradient of parameter 'layers.0.q' has", "NonFinite::skip"});
  trained.model["layers.1.q"].gradient[3] = bad_values[1];
  trained.model["norm"].gradient[0] = bad_values[2];
  check_refused([&] { trained.stack.step(); },
                {"the gradient of parameters 'layers.[0-1].q' (2), 'norm' has"});

  Trained skipping(NonFinite::skip);
  skipping.model["layers.1.q"].gradient[3] = bad_values[1];
  skipping.model["norm"].gradient[0] = bad_values[2];
  skipping.stack.set_schedule_factor(0.5);
  const StackReport report = skipping.stack.step();
  CHECK(report.non_finite == std::vector<std::string>{"layers.1.q", "norm"});
  CHECK(report.schedule_factor == 0.5);
}

TEST_CASE("one parameter that throws makes a step throw that others would skip") {
  Trained trained(NonFinite::skip);
  std::vector<float> weights(4, 1), gradient(4, bad_values[0]);
  trained.stack.add<Sign>("strict", TensorView<float>(weights.data(), {2, 2}),
                          TensorView<const float>(gradient.data(), {2, 2}));
  trained.model["norm"].gradient[0] = bad_values[0];
  check_refused([&] { trained.stack.step(); }, {"'norm', 'strict'"});
}

TEST_CASE("a row that does not exist may hold anything") {
  Trained trained(NonFinite::throw_error);
  trained.model["padded"].gradient.back() = bad_values[0];
  const auto before = trained.model["padded"].weights;
  CHECK(trained.stack.step().applied);
  const auto after = trained.model["padded"].weights;
  CHECK(std::memcmp(before.data() + 12, after.data() + 12, 3 * sizeof(float)) == 0);
  for (std::size_t i = 0; i < 12; ++i) CHECK(after[i] != before[i]);
}

TEST_CASE("an unchecked gradient is taken as it is") {
  Trained trained(NonFinite::unchecked);
  trained.model["norm"].gradient[1] = bad_values[0];
  const StackReport report = trained.stack.step();
  CHECK(report.applied);
  CHECK(report.non_finite.empty());
  CHECK(std::isnan(trained.model["norm"].weights[1]));
  CHECK(std::isfinite(trained.model["norm"].weights[0]));
}

TEST_CASE("without a gradient nothing happens, decay and momentum included") {
  Trained trained(NonFinite::throw_error);
  for (const char* name : {"head", "layers.1.q", "norm"}) {
    CAPTURE(name);
    trained.stack.set_gradient(name, std::nullopt);
    const auto before = trained.model.weights();
    CHECK(trained.stack.step().applied);
    for (std::size_t p = 0; p < before.size(); ++p)
      CHECK((trained.model.parameters[p].weights != before[p]) == (trained.model.parameters[p].name != name));
    trained.stack.set_gradient(name, trained.model[name].gradient_view());
  }

  // A parameter that had no gradient goes on as if there had been no such step.
  Trained paused(NonFinite::throw_error), steady(NonFinite::throw_error);
  for (const ModelParameter& parameter : paused.model.parameters)
    paused.stack.set_gradient(parameter.name, std::nullopt);
  CHECK_FALSE(paused.stack.step().applied);
  for (const ModelParameter& parameter : paused.model.parameters)
    paused.stack.set_gradient(parameter.name, parameter.gradient_view());
  for (int step = 0; step < 3; ++step) {
    paused.good_step();
    steady.good_step();
  }
  CHECK(same_bits(paused.model.weights(), steady.model.weights()));
}

TEST_CASE("a parameter added without a gradient moves once it has one, wherever that lies") {
  NamedModel model = NamedModel().add("a", {3, 2});
  model["a"].has_gradient = false;
  LayerwiseOptimizer stack;
  stack.route(model.tensors(),
              Routing().add("a", role<Sign>({.learning_rate = 0.5, .momentum = 0, .weight_decay = 1})));
  const auto before = model.weights();
  CHECK_FALSE(stack.step().applied);
  CHECK(same_bits(model.weights(), before));
  Eigen::MatrixXf columns = Eigen::MatrixXf::Constant(3, 2, 2);  // column by column
  columns(2, 0) = -1;
  stack.set_gradient("a", columns);
  stack.step();
  for (std::size_t i = 0; i < 6; ++i)
    CHECK(model["a"].weights[i] ==
          doctest::Approx(0.5 * static_cast<double>(before[0][i]) - (i == 4 ? -0.5 : 0.5)));
}

TEST_CASE("weights that lie elsewhere now are the ones that move") {
  Fixture fixture;
  std::vector<float> moved = fixture.model["head"].weights;
  const auto before = fixture.model.weights();
  fixture.stack.set_weights("head", TensorView<float>(moved.data(), {5, 3}));
  fixture.stack.step();
  CHECK(fixture.model["head"].weights == before[0]);
  CHECK(moved != before[0]);
}

}}  // namespace stack_error_test
