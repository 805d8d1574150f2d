// SPDX-License-Identifier: Apache-2.0
// One rate and one decay, in AdamW's units, for all parameters that have no options of their own.
#include "support/inputs.hpp"
#include "support/named_model.hpp"

#include <symopt/normalization/sign.hpp>
#include <symopt/optimizer/adaptive.hpp>
#include <symopt/optimizer/optimizer.hpp>
#include <symopt/stack/layerwise_optimizer.hpp>
#include <symopt/stack/rule_sets/qwen3.hpp>

#include <doctest/doctest.h>

#include <cmath>
#include <deque>
#include <sstream>
#include <stdexcept>
#include <string>
#include <type_traits>

namespace stack_options_test { namespace {

using namespace symopt_test;
using namespace symopt;

template <class ClassOrRule>
OptimizerOptions options_in(const StackOptions& stack) {
  return role<ClassOrRule>().options(stack);
}

TEST_CASE("a parameter without options has the stack's rate and decay in AdamW's units") {
  const StackOptions stack{.learning_rate = 2e-3,
                           .weight_decay = 0.1,
                           .momentum = 0.9,
                           .momentum_convention = MomentumConvention::heavy_ball,
                           .nesterov = true,
                           .non_finite = NonFinite::skip};
  const auto check = [&](const OptimizerOptions& options) {
    CHECK(options.learning_rate == 2e-3);
    CHECK(options.weight_decay == 0.1);
    CHECK(options.scale == Scale::match_rms);
    CHECK(options.decay == Decay::all);
    CHECK(options.non_finite == NonFinite::skip);
  };
  check(options_in<HiddenMatrix>(stack));
  check(options_in<LmHead>(stack));
  check(options_in<Adaptive<Embedding>>(stack));
  check(options_in<AdamW>(stack));
  const OptimizerOptions hidden = options_in<HiddenMatrix>(stack);
  CHECK(hidden.momentum == 0.9);
  CHECK(hidden.momentum_convention == MomentumConvention::heavy_ball);
  CHECK(hidden.nesterov);
  // A rule that keeps its own momentum is given none.
  const OptimizerOptions adamw = options_in<AdamW>(stack), defaults;
  CHECK(adamw.momentum == defaults.momentum);
  CHECK(adamw.momentum_convention == defaults.momentum_convention);
  CHECK_FALSE(adamw.nesterov);
  CHECK(options_in<LmHead>({}).learning_rate == 1e-3);
  CHECK(options_in<LmHead>({}).weight_decay == 0);
}

TEST_CASE("ratios are those of the class, whatever the rule") {
  const StackOptions stack{.learning_rate = 1,
                           .ratios = {.hidden_matrix = 2,
                                      .embedding = 3,
                                      .tied_embedding = 5,
                                      .lm_head = 7,
                                      .swiglu_input = 11,
                                      .swiglu_output = 13,
                                      .router = 17,
                                      .other = 19}};
  CHECK(options_in<HiddenMatrix>(stack).learning_rate == 2);
  CHECK(options_in<Embedding>(stack).learning_rate == 3);
  CHECK(options_in<TiedEmbedding>(stack).learning_rate == 5);
  CHECK(options_in<LmHead>(stack).learning_rate == 7);
  CHECK(options_in<SwigluInput>(stack).learning_rate == 11);
  CHECK(options_in<SwigluOutput>(stack).learning_rate == 13);
  CHECK(options_in<Router>(stack).learning_rate == 17);
  CHECK(options_in<AdamW>(stack).learning_rate == 19);
  CHECK(options_in<Sign>(stack).learning_rate == 19);
  CHECK(options_in<Update<LmHead, Then<RowNorm, Spectral<>>>>(stack).learning_rate == 7);
  CHECK(options_in<Adaptive<Router>>(stack).learning_rate == 17);
}

TEST_CASE("a step under the stack's options is that of an optimizer with them written out, or with its own") {
  CAPTURE(default_seed);
  Random random(default_seed);
  const Matrix<float> start = gaussian_block({12, 8}, random).cast<float>();
  const Matrix<float> gradient = gaussian_block({12, 8}, random).cast<float>();
  LayerwiseOptimizer stack({.learning_rate = 0.01, .weight_decay = 0.5, .ratios = {.lm_head = 3}});
  std::deque<Matrix<float>> weights;
  const auto check = [&]<class Class>(std::type_identity<Class>, const auto&... own) {
    Matrix<float>& moved = weights.emplace_back(start);
    Matrix<float> expected = start;
    const std::string name = "w" + std::to_string(stack.size());
    stack.add<Class>(name, moved, gradient, own...);
    Optimizer<symopt::detail::role_rule_t<Class>> alone(12, 8, stack.options(name));
    for (int step = 0; step < 3; ++step) {
      stack.step();
      alone.step(expected, gradient);
    }
    stack.set_gradient(name, std::nullopt);
    CHECK(same_bits(moved, expected));
    CHECK_FALSE(same_bits(moved, start));
  };
  check(std::type_identity<HiddenMatrix>{});
  check(std::type_identity<LmHead>{});
  check(std::type_identity<Adaptive<LmHead>>{});
  check(std::type_identity<AdamW>{});
  // Options of its own win as a whole: no decay, no ratio and no scale.
  check(std::type_identity<LmHead>{}, OptimizerOptions{.learning_rate = 0.25});
  CHECK(stack.options("w4").learning_rate == 0.25);
  CHECK(stack.options("w4").weight_decay == 0);
  CHECK(stack.options("w4").scale == Scale::none);
  CHECK(stack.options("w1").learning_rate == doctest::Approx(0.03));
  CHECK(stack.options().ratios.lm_head == 3);
}

TEST_CASE("layout and mask are given without options, too") {
  LayerwiseOptimizer stack({.learning_rate = 0.5});
  Matrix<float> query = Matrix<float>::Ones(8, 4), head = Matrix<float>::Ones(6, 4);
  const Matrix<float> up = Matrix<float>::Identity(8, 4), gradient = Matrix<float>::Identity(6, 4);
  stack.add<HiddenMatrix>("query", query, up, layout::row_heads(2));
  stack.add<LmHead>("head", head, gradient, Layout{}, RowMask::first(4));
  const auto rows = stack.plan().rows();
  CHECK(rows[0].blocks == "2 of 4x4");
  CHECK(rows[1].blocks == "1 of 4x4");
  CHECK(stack.options("query").learning_rate == 0.5);
  stack.step();
  CHECK(head.bottomRows(2) == Matrix<float>::Ones(2, 4));
}

TEST_CASE("the plan shows rate, ratio, the size of a step, momentum and decay") {
  LayerwiseOptimizer stack(
      {.learning_rate = 0.001, .weight_decay = 0.1, .nesterov = true, .ratios = {.lm_head = 3}});
  Matrix<float> w = Matrix<float>::Zero(4, 9), v = w, x = w, y = w;
  stack.add<LmHead>("head", w, std::nullopt);
  stack.add<Adaptive<Embedding>>("embedding", v, std::nullopt);
  stack.add<LmHead>("own", x, std::nullopt,
                    {.learning_rate = 0.03, .momentum = 0, .weight_decay = 2, .decay = Decay::horizontal});
  stack.add<AdamW>("gain", y, std::nullopt);
  std::ostringstream text;
  text << stack.plan();
  CHECK(text.str() ==
        "parameters: 4; groups: rows x columns, O rotations, S permutations, B and signs\n"
        "head  [4x9]\n"
        "    LmHead: S x O + shift | P > RowNorm > P | scale match_rms 0.6\n"
        "    rate 0.003 = 3 x 0.001, entries move by 0.0006\n"
        "    momentum 0.95 ema, Nesterov | decay 0.1\n"
        "embedding  [4x9]\n"
        "    Embedding: S x O | Adaptive<Rows> | scale match_rms 1\n"
        "    rate 0.001, entries move by 0.0002\n"
        "    beta1 0.9, beta2 0.99, eps 1e-08 | decay 0.1\n"
        "own  [4x9]\n"
        "    LmHead: S x O + shift | P > RowNorm > P | scale none\n"
        "    rate 0.03, entries move by 0.01 | no momentum | horizontal decay 2\n"
        "gain  [4x9]\n"
        "    B x B | AdamW | scale match_rms 1\n"
        "    rate 0.001, entries move by 0.0002\n"
        "    beta1 0.9, beta2 0.999, eps 1e-08 | decay 0.1\n");
  stack.set_learning_rate("head", 0.5);
  CHECK_FALSE(stack.plan().rows()[0].ratio.has_value());
}

/// The size of its steps is unknown.
struct Doubled {
  Matrix<float> operator()(const Matrix<float>& block) const { return 2 * block; }
};

TEST_CASE("what AdamW's units cannot say is refused") {
  LayerwiseOptimizer stack;
  Matrix<float> w = Matrix<float>::Zero(2, 2);
  CHECK_THROWS_WITH_AS(stack.add<Doubled>("w", w, std::nullopt),
                       "symopt: parameter 'w': without options of its own it takes the stack's, in AdamW's "
                       "units, but this rule "
                       "does not state the size of its steps; give the parameter OptimizerOptions, or the "
                       "rule a member `double "
                       "root_mean_square(Shape) const`",
                       std::invalid_argument);
  CHECK(stack.size() == 0);
  CHECK_NOTHROW(stack.add<Doubled>("w", w, std::nullopt, OptimizerOptions{}));

  const auto refused = [](const StackOptions& options, const std::string& part) {
    try {
      LayerwiseOptimizer{options};
      FAIL_CHECK("accepted: ", part);
    } catch (const std::invalid_argument& error) {
      CAPTURE(error.what());
      CHECK(std::string(error.what()).find(part) != std::string::npos);
    }
  };
  refused({.learning_rate = -1}, "learning_rate is -1");
  refused({.weight_decay = std::nan("")}, "weight_decay is nan");
  refused({.momentum = 1}, "momentum is 1");
  refused({.ratios = {.router = -2}}, "the ratio of router is -2");
}

TEST_CASE("the rule sets come with the paper's updates or with second moments, at the same rate") {
  const auto rules = [](const TransformerRoles<>& roles) {
    std::string text;
    for (const auto& role : {roles.embedding, roles.tied_embedding, roles.head, roles.router, roles.attention,
                             roles.swiglu_input, roles.swiglu_output, roles.other}) {
      CHECK_FALSE(role.has_options());
      LayerwiseOptimizer stack;
      Matrix<float> w = Matrix<float>::Zero(4, 3);
      stack.add("w", role, w, std::nullopt);
      text += stack.plan().rows()[0].rule + "\n";
    }
    return text;
  };
  CHECK(rules({}) ==
        "RowNorm\nRowNorm\nP > RowNorm > P\nP > RowNorm > P\nSpectral\nRowNorm\nColumnNorm\nAdamW\n");
  CHECK(rules(adaptive_roles<>()) ==
        "Adaptive<Rows>\nAdaptive<Rows>\nP > Adaptive<Rows> > P\nP > Adaptive<Rows> > P\nSpectral\nRowNorm\n"
        "ColumnNorm\nAdamW\n");
}

}}  // namespace stack_options_test
