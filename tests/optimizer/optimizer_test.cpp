// SPDX-License-Identifier: Apache-2.0
// What one step does, option by option.
#include "support/inputs.hpp"

#include <symopt/symopt.hpp>

#include <doctest/doctest.h>

#include <functional>
#include <map>
#include <sstream>

namespace optimizer_test { namespace {

using namespace symopt;
using namespace symopt_test;

constexpr Shape shape{6, 4};

/// The formulas of the optimizer's documentation, written out.
struct Reference {
  OptimizerOptions options;
  std::function<Matrix<double>(const Matrix<double>&)> rule;
  double scale = 1;
  Matrix<double> momentum = Matrix<double>::Zero(shape.rows, shape.cols);

  void step(Matrix<double>& weights, const Matrix<double>& gradient) {
    const bool is_ema = options.momentum_convention == MomentumConvention::ema;
    const Matrix<double> added = (is_ema ? 1 - options.momentum : 1.0) * gradient;
    momentum = options.momentum * momentum + added;
    const Matrix<double> seen =
        options.nesterov ? Matrix<double>(options.momentum * momentum + added) : momentum;
    const Matrix<double> direction = rule(seen);
    const Matrix<double> shrunk = options.decay == Decay::all ? weights : centred(weights, Side::left);
    weights -= options.learning_rate * options.weight_decay * shrunk;
    weights -= options.learning_rate * scale * direction;
  }
};

template <class Rule>
double reference_error(const OptimizerOptions& options, const Rule& rule, double scale = 1) {
  Random random(default_seed);
  Matrix<double> expected = gaussian_block(shape, random);
  Matrix<double> weights = expected;
  Reference reference{options, [rule](const Matrix<double>& m) { return rule(m); }, scale};
  Optimizer<Rule, double> optimizer(shape.rows, shape.cols, options, rule);
  Worst worst;
  for (int step = 0; step < 6; ++step) {
    const Matrix<double> gradient = gaussian_block(shape, random);
    reference.step(expected, gradient);
    const StepReport report = optimizer.step(weights, gradient);
    CHECK(report.applied);
    CHECK(report.step == step + 1);
    worst.add(relative_error(weights, expected));
    worst.add(relative_error(optimizer.momentum(), reference.momentum));
  }
  return worst.value();
}

TEST_CASE("a step is momentum, rule, decay and subtraction, in every combination of options") {
  CAPTURE(default_seed);
  for (const MomentumConvention convention : {MomentumConvention::ema, MomentumConvention::heavy_ball})
    for (const bool nesterov : {false, true})
      for (const double momentum : {0.0, 0.9})
        for (const double decay : {0.0, 0.3})
          for (const Decay kind : {Decay::all, Decay::horizontal}) {
            OptimizerOptions options{.learning_rate = 0.2,
                                     .momentum = momentum,
                                     .momentum_convention = convention,
                                     .nesterov = nesterov,
                                     .weight_decay = decay,
                                     .decay = kind};
            CHECK(reference_error(options, Update<LmHead>{}) <= 1e-13);
            CHECK(reference_error(options, Update<SharedShift>{}) <= 1e-13);
          }
}

TEST_CASE("the scale factors are those of the shape") {
  CAPTURE(default_seed);
  const auto error = [](Scale scale, double factor) {
    return reference_error({.learning_rate = 0.2, .scale = scale}, Sign{}, factor);
  };
  CHECK(error(Scale::none, 1) <= 1e-14);
  CHECK(error(Scale::aspect, std::sqrt(6.0 / 4)) <= 1e-14);
  CHECK(error(Scale::spectral, std::sqrt(6.0 / 4)) <= 1e-14);
  CHECK(error(Scale::match_rms, 0.2) <= 1e-14);  // the entries of a sign are 1
  CHECK(scale_factor(Scale::aspect, {4, 6}, 1) == 1);
  CHECK(scale_factor(Scale::spectral, {4, 6}, 1) == doctest::Approx(std::sqrt(4.0 / 6)));
  CHECK(scale_factor(Scale::match_rms, {4, 9}, 0.5) == doctest::Approx(0.4));
  CHECK(scale_factor(Scale::none, {4, 9}, 0.5) == 1);
  for (const Scale scale : {Scale::none, Scale::aspect, Scale::spectral, Scale::match_rms}) {
    CHECK(scale_factor(scale, {0, 9}, 1) == 1);
    CHECK(scale_factor(scale, {9, 0}, 1) == 1);
  }
}

/// Weights after some steps, or the text of the error.
struct Outcome {
  Matrix<double> weights;
  std::string error;
};

/// A run that reaches every option: its fourth gradient is not finite.
Outcome outcome_of(const OptimizerOptions& options) {
  Random random(default_seed);
  Outcome outcome{gaussian_block(shape, random), ""};
  Optimizer<Update<LmHead>, double> optimizer(shape.rows, shape.cols, options);
  try {
    for (int step = 0; step < 4; ++step) {
      Matrix<double> gradient = gaussian_block(shape, random);
      if (step == 3) gradient(1, 1) = infinity;
      optimizer.step(outcome.weights, gradient);
    }
  } catch (const std::invalid_argument& error) {
    outcome.error = error.what();
  }
  return outcome;
}

TEST_CASE("every option changes the result, and every value of an enumeration is another result") {
  CAPTURE(default_seed);
  const OptimizerOptions base{.learning_rate = 0.1, .momentum = 0.9, .weight_decay = 0.1};
  using Change = std::function<void(OptimizerOptions&)>;
  const std::multimap<std::string, Change> changes{
      {"learning_rate", [](auto& o) { o.learning_rate = 0.11; }},
      {"momentum", [](auto& o) { o.momentum = 0.8; }},
      {"momentum_convention",
       [](auto& o) {  // seen by eps, as the rule is scale-free
         o.momentum_convention = MomentumConvention::heavy_ball;
       }},
      {"nesterov", [](auto& o) { o.nesterov = true; }},
      {"weight_decay", [](auto& o) { o.weight_decay = 0.2; }},
      {"decay", [](auto& o) { o.decay = Decay::horizontal; }},
      {"scale", [](auto& o) { o.scale = Scale::aspect; }},
      {"scale", [](auto& o) { o.scale = Scale::match_rms; }},
      {"non_finite", [](auto& o) { o.non_finite = NonFinite::skip; }},
      {"non_finite", [](auto& o) { o.non_finite = NonFinite::unchecked; }},
      {"parameter", [](auto& o) { o.parameter = "head"; }}};

  std::vector<Outcome> seen{outcome_of(base)};
  for (const auto& change : changes) {
    const std::string& name = change.first;
    CAPTURE(name);
    OptimizerOptions options = base;
    change.second(options);
    const Outcome outcome = outcome_of(options);
    for (const Outcome& other : seen) {
      const double least = name == "momentum_convention" ? 1e-12 : 1e-4;
      CHECK((outcome.error != other.error || !(relative_error(outcome.weights, other.weights) <= least)));
    }
    seen.push_back(outcome);
  }
  OptimizerOptions(base).options([&](const std::string& name, const auto&) {
    CAPTURE(name);
    CHECK(changes.contains(name));
  });
}

TEST_CASE("scale by aspect and by spectral differ on wide blocks") {
  const auto weight = [](Scale scale) {
    Optimizer<Sign, double> optimizer(1, 4, {.learning_rate = 1, .scale = scale});
    Matrix<double> weights = Matrix<double>::Zero(1, 4);
    optimizer.step(weights, Matrix<double>::Ones(1, 4));
    return weights(0, 0);
  };
  CHECK(weight(Scale::aspect) == -1);
  CHECK(weight(Scale::spectral) == doctest::Approx(-0.5));
}

TEST_CASE("options print every name with its value") {
  std::ostringstream text;
  text << OptimizerOptions{.momentum_convention = MomentumConvention::heavy_ball,
                           .decay = Decay::horizontal,
                           .scale = Scale::match_rms,
                           .non_finite = NonFinite::skip,
                           .parameter = "wte"};
  CHECK(text.str() ==
        "learning_rate=0.001, momentum=0.95, momentum_convention=heavy_ball, nesterov=0, weight_decay=0, "
        "decay=horizontal, scale=match_rms, non_finite=skip, parameter=wte");
}

TEST_CASE("the defaults are a rate of a thousandth and EMA momentum of 0.95, nothing else") {
  const OptimizerOptions defaults;
  CHECK(defaults.learning_rate == 1e-3);
  CHECK(defaults.momentum == 0.95);
  CHECK(defaults.momentum_convention == MomentumConvention::ema);
  CHECK_FALSE(defaults.nesterov);
  CHECK(defaults.weight_decay == 0);
  CHECK(defaults.decay == Decay::all);
  CHECK(defaults.scale == Scale::none);
  CHECK(defaults.non_finite == NonFinite::throw_error);
}

TEST_CASE("horizontal decay keeps the mean row, plain decay does not") {
  CAPTURE(default_seed);
  const auto drift = [](Decay decay) {
    Random random(default_seed);
    Matrix<double> weights = gaussian_block(shape, random);
    const Matrix<double> before = weights.colwise().mean();
    Optimizer<Update<LmHead>, double> optimizer(shape.rows, shape.cols,
                                                {.learning_rate = 0.1, .weight_decay = 0.5, .decay = decay});
    for (int step = 0; step < 20; ++step) optimizer.step(weights, gaussian_block(shape, random));
    return relative_error(weights.colwise().mean(), before);
  };
  CHECK(drift(Decay::horizontal) <= 1e-14);
  CHECK(drift(Decay::all) > 0.1);
}

TEST_CASE("horizontal decay makes the step equivariant under the shift, plain decay breaks it") {
  CAPTURE(default_seed);
  const auto error = [](Decay decay) {
    Random random(default_seed);
    Matrix<double> weights = gaussian_block(shape, random);
    const Matrix<double> line = gaussian_block({1, shape.cols}, random).replicate(shape.rows, 1);
    Matrix<double> shifted = weights + line;
    const OptimizerOptions options{.learning_rate = 0.1, .weight_decay = 0.5, .decay = decay};
    Optimizer<Update<LmHead>, double> one(shape.rows, shape.cols, options), other = one;
    for (int step = 0; step < 20; ++step) {
      const Matrix<double> gradient = gaussian_block(shape, random);
      one.step(weights, gradient);
      other.step(shifted, gradient);
    }
    return relative_error(shifted, weights + line);
  };
  CHECK(error(Decay::horizontal) <= 1e-14);
  CHECK(error(Decay::all) > 0.1);
}

}}  // namespace optimizer_test
