// SPDX-License-Identifier: Apache-2.0
// Clipping by the global norm: for the rules that depend on the gradient's scale, and for no others.
#include "support/named_model.hpp"

#include <symopt/check/laws/homogeneity.hpp>
#include <symopt/symopt.hpp>

#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <sstream>

namespace clip_test { namespace {

using namespace symopt;
using namespace symopt_test;

using Dual = Update<HiddenMatrix, DualNorm<Spectral<>>>;

/// Two parameters that see the scale (one in experts, one padded) and two that do not.
struct Model {
  NamedModel model = NamedModel()
                         .add("norm", {5})
                         .add("dual", {2, 3, 4})
                         .add("head", {6, 4})
                         .add("padded", {5, 3})
                         .add("sign", {2, 2})
                         .add("second moments", {5, 7})
                         .add("of columns", {4, 6});
  LayerwiseOptimizer stack;

  explicit Model(OptimizerOptions options = {.learning_rate = 0.1}) {
    const auto add = [&]<class Rule>(std::type_identity<Rule>, const char* name, Layout layout = {},
                                     RowMask mask = {}) {
      stack.add<Rule>(name, model[name].weights_view(), std::as_const(model[name]).gradient_view(), options,
                      layout, mask);
    };
    add(std::type_identity<AdamW>{}, "norm");
    add(std::type_identity<Dual>{}, "dual", layout::experts(layout::transposed()));
    add(std::type_identity<LmHead>{}, "head");
    add(std::type_identity<Identity>{}, "padded", {},
        RowMask(std::vector<bool>{true, true, false, true, false}));
    add(std::type_identity<Sign>{}, "sign");
    add(std::type_identity<Adaptive<LmHead>>{}, "second moments");
    add(std::type_identity<Adaptive<SwigluOutput>>{}, "of columns");
  }
  bool is_clipped(const std::string& name) const { return name != "head" && name != "sign"; }
  bool exists(const std::string& name, std::size_t i) const {
    return name != "padded" || (i / 3 != 2 && i / 3 != 4);
  }

  /// The norm by hand.
  double norm() const {
    double sum = 0;
    for (const ModelParameter& parameter : model.parameters)
      for (std::size_t i = 0; i < parameter.gradient.size(); ++i)
        if (is_clipped(parameter.name) && exists(parameter.name, i))
          sum += std::pow(static_cast<double>(parameter.gradient[i]), 2);
    return std::sqrt(sum);
  }
};

double largest_difference(const std::vector<float>& a, const std::vector<float>& b) {
  Worst worst;
  for (std::size_t i = 0; i < a.size(); ++i)
    worst.add(std::abs(static_cast<double>(a[i]) - static_cast<double>(b[i])));
  return worst.value();
}

TEST_CASE("a clipped step is the step of the scaled gradients, and the gradients themselves stay") {
  CAPTURE(default_seed);
  Model clipped, by_hand;
  for (int step = 0; step < 4; ++step) {
    clipped.model.draw_gradients();
    by_hand.model.draw_gradients();
    const std::vector<float> head = clipped.model["dual"].gradient;
    const double norm = clipped.norm(), max_norm = step == 2 ? 100 * norm : 0.25 * norm;
    const ClipReport report = clip_by_global_norm(clipped.stack, max_norm);
    CHECK(std::abs(report.norm - norm) <= 1e-12 * norm);
    CHECK(std::abs(report.factor - (step == 2 ? 1 : 0.25)) <= 1e-12);
    CHECK(report.clipped ==
          std::vector<std::string>{"norm", "dual", "padded", "second moments", "of columns"});
    CHECK(report.scale_free == std::vector<std::string>{"head", "sign"});
    for (ModelParameter& parameter : by_hand.model.parameters)
      if (by_hand.is_clipped(parameter.name))
        for (float& entry : parameter.gradient)
          entry = static_cast<float>(report.factor * static_cast<double>(entry));
    CHECK(clipped.stack.step().applied);
    CHECK(by_hand.stack.step().applied);
    CHECK(clipped.model["dual"].gradient == head);
    for (std::size_t p = 0; p < clipped.model.parameters.size(); ++p)
      CHECK(largest_difference(clipped.model.parameters[p].weights, by_hand.model.parameters[p].weights) <=
            1e-6);
  }
}

TEST_CASE("clipping holds for one step, whatever becomes of it") {
  for (const bool is_skipped : {false, true}) {
    CAPTURE(is_skipped);
    std::vector<float> weights(2, 0.0F), gradient{3, 4};
    LayerwiseOptimizer stack;
    stack.add<Identity>("w", TensorView<float>(weights.data(), {1, 2}),
                        TensorView<const float>(gradient.data(), {1, 2}),
                        {.learning_rate = 1, .momentum = 0, .non_finite = NonFinite::skip});
    CHECK(clip_by_global_norm(stack, 2.5).factor == 0.5);
    if (is_skipped) gradient[0] = std::numeric_limits<float>::quiet_NaN();
    CHECK(stack.step().applied == !is_skipped);
    gradient[0] = 3;
    CHECK(weights[0] == (is_skipped ? 0.0F : -1.5F));
    stack.step();
    CHECK(weights[0] == (is_skipped ? -3.0F : -4.5F));
  }
}

TEST_CASE("the norm neither overflows nor vanishes, and is of those that have a gradient") {
  for (const float scale : {1e-30F, 1e15F}) {
    Model model;
    for (ModelParameter& parameter : model.model.parameters)
      for (float& entry : parameter.gradient) entry *= scale;
    const ClipReport report = clip_by_global_norm(model.stack, static_cast<double>(scale) * 1e-3);
    Model plain;
    CHECK(std::abs(report.norm / static_cast<double>(scale) - plain.norm()) <= 1e-5 * plain.norm());
    CHECK(report.factor < 1);
    CHECK(model.stack.step().applied);
    for (const ModelParameter& parameter : model.model.parameters)
      for (const float weight : parameter.weights) CHECK(std::isfinite(weight));
  }
  Model some;
  some.stack.set_gradient("dual", std::nullopt);
  some.stack.set_gradient("sign", std::nullopt);
  const ClipReport report = clip_by_global_norm(some.stack, 1);
  CHECK(report.clipped == std::vector<std::string>{"norm", "padded", "second moments", "of columns"});
  CHECK(report.scale_free == std::vector<std::string>{"head"});
  std::ostringstream text;
  text << report;
  CHECK(text.str().find("4 clipped, 1 scale-free and left alone") != std::string::npos);
}

TEST_CASE("a gradient that is not finite is left to the step") {
  Model model;
  model.model["norm"].gradient[0] = std::numeric_limits<float>::infinity();
  const ClipReport report = clip_by_global_norm(model.stack, 1);
  CHECK(report.factor == 1);
  CHECK_FALSE(std::isfinite(report.norm));
  CHECK_THROWS_AS(model.stack.step(), std::invalid_argument);
  for (const double bad : {0.0, -1.0, std::numeric_limits<double>::quiet_NaN()})
    CHECK_THROWS_AS(clip_by_global_norm(model.stack, bad), std::invalid_argument);
}

/// Checks the trait of a rule against the degree of its directions.
template <class Rule>
void check_trait(const Rule& rule, bool expected) {
  CAPTURE(symopt_test::type_name<Rule>());
  CHECK(detail::is_scale_free_rule<Rule>() == expected);
  const check::Report report = check::check_homogeneous(rule, 0, {.trials = 4});
  CHECK((report.verdict == check::Verdict::holds) == expected);
}

TEST_CASE("the rules that are called scale-free are of degree 0, and the others are not") {
  check_trait(FrobeniusNorm{}, true);
  check_trait(RowNorm{.eps = 0}, true);
  check_trait(ColumnNorm{.eps = 0}, true);
  check_trait(Sign{}, true);
  check_trait(Spectral<polar::Exact>{}, true);
  check_trait(Then<Identity, Sign>{}, true);
  check_trait(Identity{}, false);
  check_trait(DualNorm<Sign>{}, false);
  check_trait(Update<LmHead, RowNorm>{RowNorm{.eps = 0}}, true);
  static_assert(!detail::is_scale_free_rule<AdamW>());
  static_assert(!detail::is_scale_free_rule<Adaptive<LmHead>>());
  static_assert(detail::is_scale_free_rule<Update<HiddenMatrix>>());
  static_assert(!detail::is_scale_free_rule<Dual>());
}

TEST_CASE("a norm beyond doubles clips, and is reported as the largest double") {
  const double most = std::numeric_limits<double>::max();
  Matrix<double> weights = Matrix<double>::Zero(2, 2), gradient = Matrix<double>::Constant(2, 2, most),
                 other = weights;
  const Matrix<double> other_gradient = gradient;
  BasicLayerwiseOptimizer<double> stack;
  stack.add<Identity>("one", weights, gradient, {.learning_rate = 1, .momentum = 0});
  stack.add<Identity>("other", other, other_gradient, {.learning_rate = 1, .momentum = 0});
  const ClipReport report = clip_by_global_norm(stack, 1);
  CHECK(report.norm == most);
  CHECK(report.factor > 0);
  stack.step();
  CHECK(weights.isApproxToConstant(-1 / std::sqrt(8.0), 1e-12));
  gradient(0, 0) = std::numeric_limits<double>::infinity();
  CHECK(clip_by_global_norm(stack, 1).factor == 1);
}

}}  // namespace clip_test
