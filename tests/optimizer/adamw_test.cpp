// SPDX-License-Identifier: Apache-2.0
#include "support/group_list.hpp"
#include "support/inputs.hpp"

#include <symopt/check/laws/trajectory.hpp>
#include <symopt/symopt.hpp>

#include <doctest/doctest.h>

namespace adamw_test { namespace {

using namespace symopt;
using namespace symopt_test;

constexpr Shape shape{6, 4};
constexpr int steps = 20;

std::vector<Matrix<double>> gradients(Random& random) {
  std::vector<Matrix<double>> series;
  for (int step = 0; step < steps; ++step) series.push_back(gaussian_block(shape, random));
  return series;
}

/// Algorithm 2 of Loshchilov and Hutter, entry by entry.
struct Reference {
  double rate, decay;
  AdamW options;
  Matrix<double> m = Matrix<double>::Zero(shape.rows, shape.cols);
  Matrix<double> v = m;
  int t = 0;

  void step(Matrix<double>& weights, const Matrix<double>& gradient) {
    ++t;
    for (Index i = 0; i < weights.size(); ++i) {
      const double g = gradient.data()[i];
      double& first = m.data()[i];
      double& second = v.data()[i];
      first = options.beta1 * first + (1 - options.beta1) * g;
      second = options.beta2 * second + (1 - options.beta2) * g * g;
      const double first_hat = first / (1 - std::pow(options.beta1, t));
      const double second_hat = second / (1 - std::pow(options.beta2, t));
      double& w = weights.data()[i];
      w -= rate * decay * w;
      w -= rate * first_hat / (std::sqrt(second_hat) + options.eps);
    }
  }
};

template <class Scalar>
double reference_error(const AdamW& options, double decay) {
  Random random(default_seed);
  Matrix<double> expected = gaussian_block(shape, random);
  Matrix<Scalar> weights = expected.cast<Scalar>();
  Reference reference{0.1, decay, options};
  Optimizer<AdamW, Scalar> optimizer(shape.rows, shape.cols, {.learning_rate = 0.1, .weight_decay = decay},
                                     options);
  Worst worst;
  for (const Matrix<double>& gradient : gradients(random)) {
    reference.step(expected, gradient);
    optimizer.step(weights, gradient.cast<Scalar>());
    worst.add(relative_error(as_double(weights), expected));
  }
  return worst.value();
}

TEST_CASE("AdamW follows the published algorithm for twenty steps") {
  CAPTURE(default_seed);
  const AdamW other{.beta1 = 0.5, .beta2 = 0.9, .eps = 1e-3};
  for (const double decay : {0.0, 0.1}) {
    CHECK(reference_error<double>({}, decay) <= 1e-14);
    CHECK(reference_error<double>(other, decay) <= 1e-14);
    CHECK(reference_error<float>({}, decay) <= 1e-5);
    CHECK(reference_error<float>(other, decay) <= 1e-5);
  }
}

/// Weights after the gradients.
Matrix<double> run(const AdamW& options) {
  Random random(default_seed);
  Matrix<double> weights = gaussian_block(shape, random);
  Optimizer<AdamW, double> optimizer(shape.rows, shape.cols, {.learning_rate = 0.1, .weight_decay = 0.1},
                                     options);
  for (const Matrix<double>& gradient : gradients(random)) optimizer.step(weights, gradient);
  return weights;
}

TEST_CASE("AdamW is equivariant under signed permutations of both sides and under nothing more") {
  const auto adamw = [](Shape block) {
    return Optimizer<AdamW, double>(block.rows, block.cols, {.learning_rate = 0.1, .weight_decay = 0.1});
  };
  const auto verdict_under = [&]<class Group>(std::type_identity<Group>) {
    return check::check_trajectory<Group>(adamw, {.trials = 12}).verdict;
  };
  using Signed = Product<SignedRowPermutation, SignedColumnPermutation>;
  CHECK(verdict_under(std::type_identity<Signed>{}) == check::Verdict::holds);
  CHECK(verdict_under(std::type_identity<LeftOrthogonal>{}) == check::Verdict::violated);
  CHECK(verdict_under(std::type_identity<RightOrthogonal>{}) == check::Verdict::violated);
  CHECK(verdict_under(std::type_identity<HeadRotations<Side::left, 2>>{}) == check::Verdict::violated);
  CHECK(verdict_under(std::type_identity<RowScalings>{}) == check::Verdict::violated);
}

TEST_CASE("AdamW moves the mean row although no gradient has one") {
  CAPTURE(default_seed);
  Random random(default_seed);
  Optimizer<AdamW, double> optimizer(shape.rows, shape.cols, {.learning_rate = 0.1});
  Matrix<double> weights = Matrix<double>::Zero(shape.rows, shape.cols);
  for (const Matrix<double>& gradient : gradients(random))
    optimizer.step(weights, centred(gradient, Side::left));
  CHECK(weights.colwise().mean().norm() > 1e-2);
}

TEST_CASE("every option of AdamW changes the result") {
  CAPTURE(default_seed);
  const Matrix<double> base = run({});
  CHECK(relative_error(run({.beta1 = 0.8}), base) > 1e-3);
  CHECK(relative_error(run({.beta2 = 0.9}), base) > 1e-3);
  CHECK(relative_error(run({.eps = 0.1}), base) > 1e-3);
}

TEST_CASE("options of AdamW out of range are refused by name") {
  const double nan = std::nan("");
  const auto refuses = [](const AdamW& rule, const char* name) {
    CHECK_THROWS_WITH_AS((Optimizer<AdamW>(2, 2, {}, rule)), doctest::Contains(name), std::invalid_argument);
  };
  for (const double bad : {-0.1, 1.0, nan}) {
    refuses({.beta1 = bad}, "beta1");
    refuses({.beta2 = bad}, "beta2");
  }
  for (const double bad : {0.0, -1.0, nan, infinity}) refuses({.eps = bad}, "eps");
  CHECK_NOTHROW((Optimizer<AdamW>(2, 2, {}, {.beta1 = 0, .beta2 = 0})));
}

TEST_CASE("AdamW's first step is the sign of the gradient, zero for a zero entry") {
  Optimizer<AdamW, double> optimizer(1, 3, {.learning_rate = 0.5});
  Matrix<double> weights = Matrix<double>::Zero(1, 3);
  optimizer.step(weights, Matrix<double>{{3, 0, -1e-3}});
  CHECK(weights(0, 0) == doctest::Approx(-0.5));
  CHECK(weights(0, 1) == 0);
  CHECK(weights(0, 2) == doctest::Approx(0.5).epsilon(1e-4));
  CHECK(optimizer.state().step == 1);
  CHECK(optimizer.state().first()(0, 0) == doctest::Approx(0.3));
  CHECK(optimizer.state().second()(0, 0) == doctest::Approx(0.009));
}

TEST_CASE("a second moment that float holds is right, and a step beyond it is refused with nothing changed") {
  for (const float size : {1e-18F, 1e-9F, 1.9e19F, 3e20F}) {
    CAPTURE(size);
    Optimizer<AdamW> optimizer(1, 2, {.learning_rate = 0.5}, {.eps = 1e-16});
    Matrix<float> weights = Matrix<float>::Zero(1, 2);
    for (int step = 1; step <= 3; ++step) {
      CHECK(optimizer.step(weights, Matrix<float>{{size, -size}}).applied);
      const double direction = 1 / (1 + 1e-16 / static_cast<double>(size));
      CHECK(static_cast<double>(weights(0, 1)) == doctest::Approx(0.5 * step * direction).epsilon(0.011));
      CHECK(weights(0, 0) == -weights(0, 1));
    }
    const double square = std::pow(static_cast<double>(size), 2);
    if (size > 1e-17F)
      CHECK(static_cast<double>(optimizer.state().second()(0, 0)) ==
            doctest::Approx(0.002997001 * square).epsilon(1e-5));
  }
  Optimizer<AdamW> optimizer(1, 2, {.learning_rate = 0.5, .parameter = "norm"});
  Matrix<float> weights = Matrix<float>::Zero(1, 2);
  optimizer.step(weights, Matrix<float>{{1, 2}});
  const Matrix<float> before = weights, second = optimizer.state().second();
  CHECK_THROWS_WITH_AS(optimizer.step(weights, Matrix<float>{{1e38F, 1}}),
                       doctest::Contains("'norm': the step would make an Inf or NaN of finite numbers"),
                       NonFiniteGradient);
  CHECK(same_bits(weights, before));
  CHECK(same_bits(Matrix<float>(optimizer.state().second()), second));
  CHECK(optimizer.state().step == 1);
  CHECK(optimizer.steps() == 1);
  CHECK(optimizer.step(weights, Matrix<float>{{1, 2}}).applied);
}

TEST_CASE("an eps beside which what float cannot hold is not little is refused in float alone") {
  const auto refuses = [](const AdamW& rule, const char* words) {
    CHECK_THROWS_WITH_AS((Optimizer<AdamW>(2, 2, {}, rule)), doctest::Contains(words), Error);
    CHECK_NOTHROW((Optimizer<AdamW, double>(2, 2, {}, rule)));
    Matrix<float> weights = Matrix<float>::Zero(2, 2), gradient = weights;
    LayerwiseOptimizer stack;
    CHECK_THROWS_WITH_AS(stack.add<AdamW>("norm", weights, gradient, {}, {}, {}, rule),
                         doctest::Contains(words), Error);
  };
  for (const double eps : {2e-17, 1e-20, 1e-30, 1e-46}) refuses({.eps = eps}, "AdamW::eps is");
  refuses({.eps = 1e39}, "AdamW::eps is 1e+39");
  for (const double eps : {1e-15, 3e-17}) CHECK_NOTHROW((Optimizer<AdamW>(2, 2, {}, {.eps = eps})));
  CHECK_THROWS_AS((Optimizer<AdamW, double>(2, 2, {}, {.eps = 1e-160})), Error);
}

}}  // namespace adamw_test
