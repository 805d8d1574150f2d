// SPDX-License-Identifier: Apache-2.0
// A state that is not the state of this optimizer is refused with all that does not agree, and nothing of it
// is loaded.
#include "support/saved_stack.hpp"
#include "support/state_rules.hpp"

#include <symopt/derive/update.hpp>
#include <symopt/group/head_rotations.hpp>
#include <symopt/normalization/sign.hpp>
#include <symopt/optimizer/optimizer.hpp>
#include <symopt/pair/pair_optimizer.hpp>
#include <symopt/state/state.hpp>

#include <doctest/doctest.h>

#include <limits>
#include <span>

namespace state_mismatch_test { namespace {

using namespace symopt;
using namespace symopt_test;
using interop::LoadOptions;
using interop::LoadReport;
using nlohmann::json;

/// The error of loading the file into the stack, which must leave no trace.
std::string refusal(TrainedStack& trained, const std::string& file, const LoadOptions& options = {}) {
  const std::string before = trained.bytes();
  const auto weights = trained.model.weights();
  std::string text;
  try {
    trained.load(file, options, "run.safetensors");
  } catch (const interop::StateMismatch& error) {
    text = error.what();
  } catch (const interop::FormatError& error) {
    text = error.what();
  }
  if (!text.empty()) {
    CHECK(trained.bytes() == before);
    CHECK(trained.model.weights() == weights);
    CHECK(text.find("run.safetensors") != std::string::npos);
  }
  return text;
}

void check_refused(const StackPlan& here, const std::string& file, const std::vector<std::string>& words,
                   const LoadOptions& options = {}) {
  TrainedStack trained(here, 3);
  const std::string text = refusal(trained, file, options);
  CAPTURE(text);
  CHECK_FALSE(text.empty());
  for (const std::string& word : words) {
    CAPTURE(word);
    CHECK(text.find(word) != std::string::npos);
  }
}

/// The file with a note of its own changed.
std::string with_note(const std::string& file, const char* note, const char* text) {
  return edited(file, [&](json& header) { header["__metadata__"][note] = text; });
}

const std::string& saved() {
  static const std::string file = TrainedStack().bytes();
  return file;
}

TEST_CASE("the same stack takes the state") {
  TrainedStack trained({}, 3);
  CHECK(refusal(trained, saved()) == "");
  CHECK(trained.bytes() == saved());
}

TEST_CASE("the default method of a polar factor, which not every compiler spells, makes no other rule") {
  const auto renamed_file = [](std::string name) {
    Optimizer<Update<HeadRotations<Side::left, 2>>> optimizer(4, 3, {.parameter = "heads"});
    const std::string file = interop::state_bytes(optimizer);
    return described(file, "heads", [&](json& d) {
      CHECK(d["rule"] == "HeadSpectral<left, 2>");
      d["rule"] = name;
    });
  };
  const auto load = [](const std::string& file) {
    Optimizer<Update<HeadRotations<Side::left, 2>>> optimizer(4, 3, {.parameter = "heads"});
    interop::load_state_bytes(optimizer, std::as_bytes(std::span(file)));
  };
  CHECK_NOTHROW(load(renamed_file("HeadSpectral<left, 2>")));
  CHECK_NOTHROW(load(renamed_file("HeadSpectral<left, 2, Automatic>")));
  CHECK_THROWS_AS(load(renamed_file("HeadSpectral<left, 2, Exact>")), interop::StateMismatch);
  CHECK_THROWS_AS(load(renamed_file("HeadSpectral<left, 3>")), interop::StateMismatch);
}

TEST_CASE("missing and unknown parameters are named") {
  StackPlan more, fewer;
  more.has_bias = true;
  fewer.has_norm = false;
  check_refused(more, saved(), {"parameter 'bias'", "not in the file", "allow_missing"});
  check_refused(fewer, saved(),
                {"parameter 'norm'", "not in this optimizer", "allow_unknown", "norm/0/first"});
}

TEST_CASE("another shape, rule, layout or mask is refused with both") {
  StackPlan here;
  here.head_sizes = {5, 4};
  check_refused(here, saved(),
                {"'head'", "sizes is [6,4] in the file and [5,4] here", "'head/0/momentum' is 6x4"});
  here = {};
  here.head_is_embedding = true;
  check_refused(here, saved(), {"'head'", "group is", "LmHead", "Embedding", "P > RowNorm > P"});
  here = {};
  here.heads = {};
  check_refused(here, saved(), {"'query'", "2 row heads", "whole", "'query/1/momentum'"});
  here = {};
  here.rows = RowMask::first(5);
  check_refused(here, saved(), {"'head'", "rows is", "first 5"});
}

TEST_CASE("other conventions are refused with both, unless they are allowed to differ") {
  const auto check = [](const auto& change, const std::string& parameter, const std::string& words) {
    StackPlan here;
    change(here);
    check_refused(here, saved(), {parameter, words, "allow_changed_options"});
    TrainedStack trained(here, 3);
    const LoadReport report = trained.load(saved(), {.allow_changed_options = true});
    CHECK(report.changed.size() == 1);
    CHECK(report.changed.front().find(words) != std::string::npos);
    CHECK(trained.stack.options("head").momentum == here.head.momentum);  // those of the program hold
    CHECK(trained.stack.steps() == 2);
  };
  check([](StackPlan& p) { p.head.momentum = 0.8; }, "'head'", "momentum is 0.9 in the file and 0.8 here");
  check([](StackPlan& p) { p.head.momentum_convention = MomentumConvention::heavy_ball; }, "'head'",
        "momentum_convention is \"ema\" in the file and \"heavy_ball\" here");
  check([](StackPlan& p) { p.head.nesterov = true; }, "'head'", "nesterov is false in the file and true");
  check([](StackPlan& p) { p.head.weight_decay = 0; }, "'head'", "weight_decay is 0.01 in the file and 0.0");
  check([](StackPlan& p) { p.head.decay = Decay::horizontal; }, "'head'", "decay is \"all\"");
  check([](StackPlan& p) { p.head.scale = Scale::aspect; }, "'head'", "scale is \"none\"");
  check([](StackPlan& p) { p.adamw.beta2 = 0.95; }, "'norm'", "AdamW.beta2=0.95");
}

TEST_CASE("what is done with a gradient that is not finite is the program's alone") {
  StackPlan here;
  here.head.non_finite = NonFinite::skip;
  TrainedStack trained(here, 3);
  CHECK(refusal(trained, saved()) == "");
}

TEST_CASE("all that differs is said at once") {
  StackPlan here;
  here.has_bias = true;
  here.has_norm = false;
  here.head.momentum = 0.5;
  check_refused(here, saved(), {"'bias'", "'norm'", "momentum is 0.9"});
}

TEST_CASE("leniency is for what it names, and is reported") {
  StackPlan more, fewer;
  more.has_bias = true;
  fewer.has_norm = false;
  TrainedStack with_bias(more, 3), without_norm(fewer, 3);
  const std::string before = with_bias.bytes();
  LoadReport report = with_bias.load(saved(), {.allow_missing = true});
  CHECK(report.missing == std::vector<std::string>{"bias"});
  CHECK(report.unknown.empty());
  report = without_norm.load(saved(), {.allow_unknown = true});
  CHECK(report.unknown == std::vector<std::string>{"norm"});
  check_refused(more, saved(), {"'bias'"}, {.allow_unknown = true});
  check_refused(fewer, saved(), {"'norm'"}, {.allow_missing = true});
  // The state of the parameter that the file lacks is as it was.
  const interop::Safetensors old(as_bytes(before), "old");
  const std::string now_bytes = with_bias.bytes();
  const interop::Safetensors now(as_bytes(now_bytes), "now");
  CHECK(std::ranges::equal(old.tensors().at("bias/0/first").bytes, now.tensors().at("bias/0/first").bytes));
  CHECK_FALSE(std::ranges::equal(old.tensors().at("head/0/momentum").bytes,
                                 now.tensors().at("head/0/momentum").bytes));
}

TEST_CASE("rates and schedule factor are loaded, or kept") {
  TrainedStack source;
  source.stack.set_learning_rate("head", 0.03);
  source.stack.set_schedule_factor(0.25);
  const std::string file = source.bytes();
  TrainedStack loads({}, 0), keeps({}, 0);
  loads.load(file);
  keeps.load(file, {.keep_rates = true});
  CHECK(loads.stack.options("head").learning_rate == 0.03);
  CHECK(loads.stack.schedule_factor() == 0.25);
  CHECK(keeps.stack.options("head").learning_rate == 0.1);
  CHECK(keeps.stack.schedule_factor() == 1);
  CHECK(keeps.stack.steps() == 2);
}

TEST_CASE("entries that are missing, unknown, reshaped or retyped are named") {
  const auto refused = [](const std::function<void(json&)>& change, const std::vector<std::string>& words) {
    check_refused({}, edited(saved(), change), words);
  };
  refused([](json& h) { h["head/0/moment"] = h["head/0/momentum"], h.erase("head/0/momentum"); },
          {"'head/0/momentum' is missing", "'head/0/moment' belongs to no parameter"});
  refused([](json& h) { h["head/0/momentum"]["shape"] = {4, 6}; }, {"'head/0/momentum' is 4x6", "6x4 here"});
  refused([](json& h) { h["head/0/momentum"]["shape"] = {24}; }, {"'head/0/momentum' is 24"});
  refused([](json& h) { h["head/0/momentum"]["dtype"] = "I32"; }, {"'head/0/momentum' is I32", "F32 here"});
  refused([](json& h) { h["norm/0/step"]["dtype"] = "F64"; }, {"'norm/0/step' is F64", "I64 here"});
  refused([](json& h) { h["norm/0/step"]["shape"] = {1, 1}; }, {"'norm/0/step' is 1x1", "one number here"});
}

TEST_CASE("notes that are missing, unknown or of another version are named") {
  const auto refused = [](const std::function<void(json&)>& change, const std::vector<std::string>& words) {
    check_refused({}, edited(saved(), [&](json& header) { change(header["__metadata__"]); }), words);
  };
  refused([](json& m) { m.erase("symopt_state"); }, {"no state of an optimizer", "symopt_state"});
  refused([](json& m) { m["symopt_state"] = "2"; }, {"version '2'", "reads version 1"});
  refused([](json& m) { m["surprise"] = ""; }, {"'surprise' of __metadata__ is unknown"});
  for (const char* bad : {"-1", "1.5", "x", "", "1e300", "null", "[1]", "99999999999999999999"}) {
    CAPTURE(bad);
    refused([&](json& m) { m["steps"] = bad; }, {"'steps'"});
  }
  refused([](json& m) { m.erase("steps"); }, {"'steps'"});
  for (const char* bad : {"-1", "NaN", "1e999", "x", "[[[[[[1]]]]]]"}) {
    CAPTURE(bad);
    refused([&](json& m) { m["schedule_factor"] = bad; }, {"'schedule_factor'"});
  }
  refused([](json& m) { m["parameter/head"] = "no json"; }, {"'head'", "description is no JSON object"});
  check_refused({}, described(saved(), "head", [](json& d) { d.erase("rule"); }), {"does not say its rule"});
  check_refused({}, described(saved(), "head", [](json& d) { d["new"] = 1; }),
                {"'head'", "'new' is unknown"});
  check_refused({}, described(saved(), "head", [](json& d) { d.erase("options"); }),
                {"does not say its options"});
  check_refused({}, described(saved(), "head", [](json& d) { d["options"].erase("nesterov"); }),
                {"does not say its nesterov"});
  check_refused({}, described(saved(), "head", [](json& d) { d["options"]["lookahead"] = true; }),
                {"option 'lookahead' is unknown"});
  check_refused({}, described(saved(), "head", [](json& d) { d["options"]["learning_rate"] = -1; }),
                {"'head'", "learning_rate is -1"});
}

TEST_CASE("a rate or a factor with which the optimizer could not step is refused before anything is loaded") {
  const std::string rate =
      described(saved(), "head", [](json& d) { d["options"]["learning_rate"] = 1e39; });  // no float
  check_refused({}, rate, {"'head'", "1e+39"});
  TrainedStack keeps({}, 3);
  CHECK(refusal(keeps, rate, {.keep_rates = true}) == "");
  check_refused({}, with_note(saved(), "schedule_factor", "1e300"), {"'head'", "schedule factor"});

  Optimizer<Update<LmHead>> head(4, 3, {.learning_rate = 1, .weight_decay = 0.5, .parameter = "head"});
  const std::string of_head = interop::state_bytes(head);
  const auto load = [](auto& optimizer, const std::string& file) {
    interop::load_state_bytes(optimizer, std::as_bytes(std::span(file)));
  };
  CHECK_THROWS_AS(load(head, with_note(of_head, "schedule_factor", "1e300")), interop::StateMismatch);
  CHECK(head.schedule_factor() == 1);

  PairOptimizer<PairUpdate<LoraPair>> pair(4, 5, 2,
                                           {.learning_rate = 1, .weight_decay = 0.5, .parameter = "pair"});
  std::string of_pair = interop::state_bytes(pair);
  for (const char* side : {"pair.a", "pair.b"})
    of_pair = described(of_pair, side, [](json& d) { d["options"]["learning_rate"] = 2; });
  CHECK_THROWS_WITH_AS(load(pair, of_pair), doctest::Contains("must be less than 1"), interop::StateMismatch);
  CHECK(pair.options().learning_rate == 1);
}

/// A rule with counters, of which one counts backwards and has a name that ends like one of steps.
struct Countdown {
  template <class Scalar>
  struct State {
    explicit State(Shape) {}
    std::int64_t last_step = -1;
    void visit(auto&& field) { field("last_step", last_step); }
  };
  double rate = 0.1234567;
  bool is_strict = false;
  void options(auto&& field) {
    field("rate", rate);
    field("is_strict", is_strict);
  }
  template <class Scalar>
  void operator()(const auto&, const auto& gradient, State<Scalar>&, auto& direction) const {
    direction = gradient;
  }
};

TEST_CASE("a rule of one's own may count as it likes, and have options of every kind") {
  Optimizer<Countdown> saves(4, 3), loads(4, 3), another(4, 3, {}, {.rate = 0.1234568});
  const std::string file = interop::state_bytes(saves);
  CHECK(file.find("rate=0.1234567") != std::string::npos);
  CHECK(file.find("is_strict=0") != std::string::npos);
  CHECK_NOTHROW(interop::load_state_bytes(loads, std::as_bytes(std::span(file))));
  CHECK_THROWS_WITH_AS(interop::load_state_bytes(another, std::as_bytes(std::span(file))),
                       doctest::Contains("rule_options"), interop::StateMismatch);
}

TEST_CASE("options of pairs differ in a file by their last digit") {
  using Pair = PairOptimizer<PairUpdate<LoraPair>>;
  Pair saves(4, 5, 2, {}, {.damping = 0.1234567}), loads(4, 5, 2, {}, {.damping = 0.1234568});
  const std::string file = interop::state_bytes(saves);
  CHECK_THROWS_WITH_AS(interop::load_state_bytes(loads, std::as_bytes(std::span(file))),
                       doctest::Contains("Pair.damping=0.1234567, Pair.is_horizontal=0"),
                       interop::StateMismatch);
}

TEST_CASE("values that are no state are refused") {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const std::string bad = with_value(saved(), "query/1/momentum", nan);
  check_refused({}, bad, {"'query/1/momentum' has an Inf or NaN", "allow_non_finite"});
  check_refused({}, with_value(saved(), "norm/0/second", -std::numeric_limits<float>::infinity()),
                {"'norm/0/second' has an Inf or NaN"});
  check_refused({}, with_value(saved(), "norm/0/step", std::int64_t{-3}), {"'norm/0/step' is -3"});
  TrainedStack trained({}, 3);
  CHECK(refusal(trained, bad, {.allow_non_finite = true}) == "");
}

TEST_CASE("a state with Inf or NaN does not replace the last good file") {
  StackPlan plan;
  plan.head.non_finite = NonFinite::unchecked;
  TrainedStack trained(plan);
  trained.model["head"].gradient[1] = std::numeric_limits<float>::infinity();
  trained.stack.step();
  std::string text;
  try {
    (void)trained.bytes();
  } catch (const std::invalid_argument& error) {
    text = error.what();
  }
  CHECK(text.find("parameter 'head'") != std::string::npos);
  CHECK(text.find("0/momentum has an Inf or NaN; nothing was written") != std::string::npos);
  CHECK_FALSE(interop::state_bytes(trained.stack, {.allow_non_finite = true}).empty());
}

TEST_CASE("a state that cannot be visited says what to do") {
  std::vector<float> weights(4, 1), gradient(4, 1);
  LayerwiseOptimizer stack;
  stack.add<UnsavableSum>("odd", TensorView<float>(weights.data(), {2, 2}),
                          TensorView<const float>(gradient.data(), {2, 2}), OptimizerOptions{});
  const auto text_of = [](const auto& call) {
    try {
      call();
    } catch (const std::invalid_argument& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  const std::string saving = text_of([&] { (void)interop::state_bytes(stack); });
  const std::string loading = text_of([&] { interop::load_state_bytes(stack, as_bytes(saved())); });
  for (const std::string& text : {saving, loading}) {
    CAPTURE(text);
    CHECK(text.find("'odd'") != std::string::npos);
    CHECK(text.find("UnsavableSum") != std::string::npos);
    CHECK(text.find("visit(field)") != std::string::npos);
  }
}

TEST_CASE("a rule's own check of its state is asked before anything is loaded") {
  std::vector<float> weights(4, 1), gradient(4, 1);
  const auto add = [&](LayerwiseOptimizer& stack) {
    stack.add<Sign>("first", TensorView<float>(weights.data(), {1, 2}),
                    TensorView<const float>(gradient.data(), {1, 2}));
    stack.add<LateSum>("late", TensorView<float>(weights.data() + 2, {1, 2}),
                       TensorView<const float>(gradient.data() + 2, {1, 2}), OptimizerOptions{});
  };
  LayerwiseOptimizer source, fresh;
  add(source);
  add(fresh);
  source.step();
  const std::string broken = edited(interop::state_bytes(source), [](json& header) {
    json& sum = header["late/0/sum"];  // takes the bytes of the columns, which follow
    json& columns = header["late/0/columns"];
    REQUIRE(sum["data_offsets"][1] == columns["data_offsets"][0]);
    sum["shape"] = {2, 2};
    sum["data_offsets"][1] = columns["data_offsets"][0] = columns["data_offsets"][1];
    columns["shape"] = {0, 0};
  });
  const std::string before = interop::state_bytes(fresh);
  std::string text;
  try {
    interop::load_state_bytes(fresh, as_bytes(broken));
  } catch (const interop::StateMismatch& error) {
    text = error.what();
  }
  CAPTURE(text);
  CHECK(text.find("parameter 'late': the two sums differ in size") != std::string::npos);
  CHECK(interop::state_bytes(fresh) == before);
  interop::load_state_bytes(fresh, as_bytes(interop::state_bytes(source)));
  CHECK(interop::state_bytes(fresh) == interop::state_bytes(source));
}

}}  // namespace state_mismatch_test
