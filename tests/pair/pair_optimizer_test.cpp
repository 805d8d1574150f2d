// SPDX-License-Identifier: Apache-2.0
// The optimizer of a pair: the gauge is kept by every part of a step, and nothing is changed by an error.
#include "support/allocation_count.hpp"
#include "support/pair_groups.hpp"

#include <symopt/memory/split_weights.hpp>
#include <symopt/pair/pair_optimizer.hpp>
#include <symopt/polar/exact.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

namespace pair_optimizer_test { namespace {

using namespace symopt_test;

constexpr double tolerance = 1e-9;
constexpr PairShape shapes[] = {{30, 40, 8}, {8, 8, 8}, {9, 30, 2}};

template <class Group>
using InDouble = PairOptimizer<PairUpdate<Group>, double>;

/// The largest distance, over 12 steps, of twins that started from a pair and from the moved one.
template <class Optimizer, class Group = typename Optimizer::rule_type::pair_group>
double twin_error(const PairShape& shape, const OptimizerOptions& options, const PairOptions& pair_options,
                  bool starts_at_zero = false) {
  CAPTURE(default_seed);
  Random random(default_seed);
  Pair pair = random_pair(shape, random);
  if (starts_at_zero) pair.b.setZero();
  const auto g = Group::template random<double>(shape, random);
  Pair twin = moved<Group>(g, pair);
  const auto [m, n, r] = shape;
  Optimizer one(m, n, r, options, pair_options), other(m, n, r, options, pair_options);
  const Matrix<double> target = gaussian_block({m, n}, random);
  Worst worst;
  for (int t = 0; t < 12; ++t) {
    set_gradients(pair, pair.a * pair.b.transpose() - target);
    const Pair expected = moved<Group>(g, pair);
    one.step(pair.a, pair.gradient_a, pair.b, pair.gradient_b);
    // The twin's B is stored as r x n.
    Matrix<double> down = twin.b.transpose();
    const Matrix<double> g_down = expected.gradient_b.transpose();
    other.step(twin.a, expected.gradient_a, down.transpose(), g_down.transpose());
    twin.b = down.transpose();
    const Pair now = moved<Group>(g, pair);
    worst.add(relative_error(twin.a, now.a));
    worst.add(relative_error(twin.b, now.b));
  }
  return worst.value();
}

TEST_CASE_TEMPLATE(
    "twin trainings from a pair and the moved pair agree for ever, momentum and decay included", Group,
    LoraPair, QueryKey, QueryKeyHalves, NeuronPair, UsersPair) {
  const OptimizerOptions options{
      .learning_rate = 0.02, .nesterov = true, .weight_decay = 0.1, .scale = Scale::match_rms};
  for (const PairShape& shape : shapes) {
    CAPTURE(to_string(shape));
    CHECK(twin_error<InDouble<Group>>(shape, options, {}) <= tolerance);
    CHECK(twin_error<InDouble<Group>>(shape, options, {.damping = 0}) <= tolerance);
    CHECK(twin_error<InDouble<Group>>(shape, options, {}, true) <= tolerance);
  }
  CHECK(twin_error<InDouble<Group>>(shapes[0], options, {.is_horizontal = true}) <= tolerance);
  CHECK(twin_error<InDouble<Group>>(shapes[2], options, {.is_horizontal = true}) <= tolerance);
}

TEST_CASE(
    "a step is half of the update for each block, with the scale of the product, and the root of its decay") {
  Random random(default_seed);
  const PairShape shape{12, 20, 4};
  const Pair before = random_pair(shape, random);
  Pair pair = before;
  const double rate = 0.1, decay = 0.3, scale = 0.2 * std::sqrt(20.0);
  InDouble<LoraPair> optimizer(
      12, 20, 4, {.learning_rate = rate, .momentum = 0, .weight_decay = decay, .scale = Scale::match_rms},
      {.damping = 0});
  const StepReport report = optimizer.step(pair.a, pair.gradient_a, pair.b, pair.gradient_b);
  CHECK(report.applied);
  CHECK(report.step == 1);
  Matrix<double> u_a = before.a, u_b = before.b;
  PairUpdate<LoraPair>()(before.a, before.b, before.gradient_a, before.gradient_b, u_a, u_b);
  const double keep = std::sqrt(1 - rate * decay);
  CHECK(relative_error(pair.a, keep * before.a - rate * scale / 2 * u_a) <= 1e-14);
  CHECK(relative_error(pair.b, keep * before.b - rate * scale / 2 * u_b) <= 1e-14);
}

TEST_CASE("decay shrinks the product by 1 - rate decay, and no more") {
  Random random(default_seed);
  const Pair before = random_pair({12, 20, 4}, random);
  Pair pair = before;
  const Matrix<double> zero_a = Matrix<double>::Zero(12, 4), zero_b = Matrix<double>::Zero(20, 4);
  InDouble<LoraPair> optimizer(12, 20, 4, {.learning_rate = 0.1, .weight_decay = 2});
  optimizer.step(pair.a, zero_a, pair.b, zero_b);
  CHECK(relative_error(pair.a * pair.b.transpose(), 0.8 * before.a * before.b.transpose()) <= 1e-14);
}

double spectral_norm(const Matrix<double>& block) {
  return block.jacobiSvd().singularValues()(0);
}

TEST_CASE("the learning rate is the spectral norm of the product's step, to first order") {
  Random random(default_seed);
  using Rule = PairUpdate<LoraPair, Spectral<polar::Exact>>;
  for (const double rate : {1e-4, 1e-6}) {
    Pair pair = random_pair({12, 20, 4}, random);
    const Matrix<double> before = pair.a * pair.b.transpose();
    PairOptimizer<Rule, double> optimizer(12, 20, 4, {.learning_rate = rate}, {.damping = 0});
    optimizer.step(pair.a, pair.gradient_a, pair.b, pair.gradient_b);
    CHECK(spectral_norm(pair.a * pair.b.transpose() - before) <= rate * (1 + rate));
    CHECK(spectral_norm(pair.a * pair.b.transpose() - before) >= 0.5 * rate);
  }
}

/// Steps with W as the gradient of the product; returns how far the product and A, relative to itself, moved.
struct Moves {
  double product, a;
};
template <class Optimizer>
Moves step(Optimizer& optimizer, Pair& pair, const Matrix<double>& w) {
  set_gradients(pair, w);
  const Pair before = pair;
  optimizer.step(pair.a, pair.gradient_a, pair.b, pair.gradient_b);
  return {spectral_norm(pair.a * pair.b.transpose() - before.a * before.b.transpose()),
          (pair.b - before.b).norm() / before.b.norm()};
}

TEST_CASE(
    "LoRA's start at zero: undamped the second step moves the other block by its own length, damped by "
    "less") {
  // A is LoRA's up matrix, which is zero, and B the other one.
  Random random(default_seed);
  using Rule = PairUpdate<LoraPair, Spectral<polar::Exact>>;
  const Matrix<double> w = gaussian_block({30, 40}, random), b = gaussian_block({40, 8}, random);
  constexpr double rate = 1e-3;
  const auto second_step = [&](double damping) {
    Pair pair{Matrix<double>::Zero(30, 8), b, {}, {}};
    PairOptimizer<Rule, double> optimizer(30, 40, 8, {.learning_rate = rate}, {.damping = damping});
    CHECK(step(optimizer, pair, w).product == doctest::Approx(rate / 2).epsilon(1e-6));  // A alone moves
    return step(optimizer, pair, w);
  };
  const Moves undamped = second_step(0), damped = second_step(0.5);
  CHECK(undamped.a == doctest::Approx(1).epsilon(1e-3));
  CHECK(damped.a == doctest::Approx(std::sqrt(0.5)).epsilon(1e-3));
  CHECK(damped.a > 0);
  // Where the product is as long as a step, 45 % of the length, and 0.9 of the step.
  Pair pair{Matrix<double>::Zero(30, 8), b, {}, {}};
  PairOptimizer<Rule, double> first(30, 40, 8, {.learning_rate = 2 * rate, .momentum = 0}, {.damping = 0});
  step(first, pair, w);
  PairOptimizer<Rule, double> optimizer(30, 40, 8, {.learning_rate = rate, .momentum = 0});
  const Moves half = step(optimizer, pair, w);
  CHECK(half.a == doctest::Approx(1 / std::sqrt(5.0)).epsilon(1e-3));
  CHECK(half.product == doctest::Approx(2 * rate / std::sqrt(5.0)).epsilon(1e-3));
}

TEST_CASE("gradient flow keeps Pi(A^T A - B^T B)") {
  Random random(default_seed);
  for (const PairShape& shape : shapes) {
    const Pair pair = random_pair(shape, random);
    const Matrix<double> of_a = pair.a.transpose() * pair.gradient_a,
                         of_b = pair.b.transpose() * pair.gradient_b;
    CHECK(relative_error(of_a + of_a.transpose(), of_b + of_b.transpose()) <= tolerance);
    // And the rule N = Identity with both metrics scaled away is that flow: a small step of plain descent.
    const double rate = 1e-6;
    const Matrix<double> a = pair.a - rate * pair.gradient_a, b = pair.b - rate * pair.gradient_b;
    const Matrix<double> before = pair.a.transpose() * pair.a - pair.b.transpose() * pair.b;
    CHECK((a.transpose() * a - b.transpose() * b - before).norm() <=
          10 * rate * rate * (of_a.norm() + of_b.norm()) * 1e2);
  }
}

TEST_CASE_TEMPLATE(
    "the horizontal projection is orthogonal to the orbit, idempotent, and leaves the product's step", Group,
    LoraPair, QueryKey, QueryKeyHalves, NeuronPair, ScalarPair, UsersPair) {
  using A = typename Group::algebra;
  CAPTURE(default_seed);
  Random random(default_seed);
  for (const PairShape& shape : shapes) {
    Pair pair = random_pair(shape, random);
    Matrix<double> u_a = gaussian_block(shape.a(), random), u_b = gaussian_block(shape.b(), random);
    const Matrix<double> step = u_a * pair.b.transpose() + pair.a * u_b.transpose();
    symopt::detail::PairBlocks<double> a, b;
    a.weights.emplace_back(symopt::detail::BlockView<double>(pair.a));
    b.weights.emplace_back(symopt::detail::BlockView<double>(pair.b));
    a.directions.emplace_back(u_a);
    b.directions.emplace_back(u_b);
    using Metric = symopt::detail::PairMetric<A>;
    Metric of_a(shape.rank), of_b(shape.rank);
    typename Metric::Scratch scratch(40, shape.rank);
    of_a.compute(a, scratch);
    of_b.compute(b, scratch);
    symopt::detail::PairHorizontalProjection<A, double> projection(shape.rank);
    projection.project(a, b, of_a, of_b);
    CHECK(relative_error(u_a * pair.b.transpose() + pair.a * u_b.transpose(), step) <= tolerance);

    Matrix<double> f_a = pair.a.transpose() * pair.a, f_b = pair.b.transpose() * pair.b;
    A::template project<double>(f_a);
    A::template project<double>(f_b);
    Matrix<double> x = gaussian_block({shape.rank, shape.rank}, random);
    A::template project<double>(x);
    const Matrix<double> o_a = pair.a * x, o_b = -pair.b * x.transpose();
    const auto product = [&](const Matrix<double>& p_a, const Matrix<double>& q_a, const Matrix<double>& p_b,
                             const Matrix<double>& q_b) {
      return (f_b * p_a.transpose() * q_a).trace() + (f_a * p_b.transpose() * q_b).trace();
    };
    CHECK(std::abs(product(u_a, o_a, u_b, o_b)) <=
          tolerance * std::sqrt(product(u_a, u_a, u_b, u_b) * product(o_a, o_a, o_b, o_b)));
    const Matrix<double> once_a = u_a, once_b = u_b;
    projection.project(a, b, of_a, of_b);
    CHECK(relative_error(u_a, once_a) <= tolerance);
    CHECK(relative_error(u_b, once_b) <= tolerance);
  }
}

TEST_CASE("several A share one B, in any storage, and step as their update says") {
  Random random(default_seed);
  const Matrix<double> b0 = gaussian_block({15, 4}, random), g_b = gaussian_block({15, 4}, random);
  std::vector<Matrix<double>> a, g_a;
  for (int k = 0; k < 3; ++k) {
    a.push_back(gaussian_block({12, 4}, random));
    g_a.push_back(gaussian_block({12, 4}, random));
  }
  std::vector<Matrix<double>> u_a = g_a;
  Matrix<double> u_b = g_b, b = b0;
  PairUpdate<LoraPair>()(a, std::vector{b0}, g_a, std::vector{g_b}, u_a, u_b);
  const auto before = a;
  InDouble<LoraPair> optimizer(12, 15, 4, {.learning_rate = 0.1, .momentum = 0},
                               {.damping = 0, .blocks_of_a = 3});
  optimizer.step(a, g_a, b, g_b);
  CHECK(relative_error(b, b0 - 0.05 * u_b) <= 1e-14);
  for (std::size_t k = 0; k < a.size(); ++k) CHECK(relative_error(a[k], before[k] - 0.05 * u_a[k]) <= 1e-14);
}

TEST_CASE("weights in bfloat16 and in halves step too") {
  Random random(default_seed);
  const Matrix<float> a = gaussian_block({12, 4}, random).cast<float>(),
                      b = gaussian_block({15, 4}, random).cast<float>();
  const Matrix<float> g_a = gaussian_block({12, 4}, random).cast<float>(),
                      g_b = gaussian_block({15, 4}, random).cast<float>();
  const OptimizerOptions options{.learning_rate = 0.1};
  PairOptimizer<PairUpdate<LoraPair>> plain(12, 15, 4, options), halves(12, 15, 4, options);
  Matrix<float> p_a = a, p_b = b;
  plain.step(p_a, g_a, p_b, g_b);
  Matrix<bfloat16> high(12, 4);
  Matrix<std::uint16_t> low(12, 4);
  split(a, split_weights(high, low));
  Matrix<float> s_b = b;
  halves.step(split_weights(high, low), g_a, s_b, g_b);
  CHECK(same_bits(joined(split_weights(high, low)), p_a));
  CHECK(same_bits(s_b, p_b));
}

TEST_CASE("a step allocates nothing, in any storage") {
  Random random(default_seed);
  const Matrix<float> down0 = gaussian_block({16, 256}, random).cast<float>();
  Matrix<float> up = gaussian_block({128, 16}, random).cast<float>(), g_up = up, down = down0, g_down = down0;
  const auto count_of = [&](auto& optimizer) {
    optimizer.step(up, g_up, down.transpose(), g_down.transpose());
    const long before = allocations;
    for (int k = 0; k < 3; ++k) optimizer.step(up, g_up, down.transpose(), g_down.transpose());
    return allocations - before;
  };
  const OptimizerOptions options{.learning_rate = 1e-3, .weight_decay = 0.1};
  PairOptimizer<PairUpdate<LoraPair>> lora(128, 256, 16, options),
      horizontal(128, 256, 16, options, {.is_horizontal = true});
  PairOptimizer<PairUpdate<QueryKey>> keys(128, 256, 16, options);
  PairOptimizer<PairUpdate<NeuronPair>> neurons(128, 256, 16, options, {.is_horizontal = true});
  CHECK(count_of(lora) == 0);
  CHECK(count_of(horizontal) == 0);
  CHECK(count_of(keys) == 0);
  CHECK(count_of(neurons) == 0);
}

constexpr float nan = std::numeric_limits<float>::quiet_NaN();

/// A float pair that a refused step must leave as it is, to the bit, momenta included.
struct Fixture {
  Fixture() { step(); }
  void step() { optimizer.step(a, g_a, b, g_b); }
  void check_refused(const std::function<void()>& call, const char* words) {
    const Matrix<float> a0 = a, b0 = b, m_a = optimizer.momentum_a(), m_b = optimizer.momentum_b();
    CHECK_THROWS_WITH_AS(call(), doctest::Contains(words), Error);
    CHECK(same_bits(a, a0));
    CHECK(same_bits(b, b0));
    CHECK(same_bits(Matrix<float>(optimizer.momentum_a()), m_a));
    CHECK(same_bits(Matrix<float>(optimizer.momentum_b()), m_b));
    CHECK(optimizer.steps() == 1);
  }

  Matrix<float> a = Matrix<float>::Random(6, 3), b = Matrix<float>::Random(5, 3);
  Matrix<float> g_a = Matrix<float>::Random(6, 3), g_b = Matrix<float>::Random(5, 3);
  PairOptimizer<PairUpdate<LoraPair>> optimizer{6, 5, 3, {.learning_rate = 0.1, .parameter = "layers.0.q"}};
};

TEST_CASE_FIXTURE(Fixture, "a gradient that is not finite changes nothing, of either block") {
  for (Matrix<float>* gradient : {&g_a, &g_b}) {
    const Matrix<float> good = *gradient;
    for (const float bad : {nan, std::numeric_limits<float>::infinity()}) {
      (*gradient)(2, 1) = bad;
      check_refused([&] { step(); },
                    "parameter 'layers.0.q': the gradient has an Inf or NaN; nothing was changed");
    }
    *gradient = good;
  }
}

TEST_CASE_FIXTURE(Fixture, "skip reports, and changes nothing") {
  PairOptimizer<PairUpdate<LoraPair>> skipping(6, 5, 3, {.non_finite = NonFinite::skip});
  g_b(0, 0) = nan;
  const Matrix<float> a0 = a, b0 = b;
  CHECK(!skipping.step(a, g_a, b, g_b).applied);
  CHECK(same_bits(a, a0));
  CHECK(same_bits(b, b0));
  CHECK(skipping.steps() == 0);
}

TEST_CASE_FIXTURE(Fixture,
                  "huge gradients step as long as the numbers hold, and are refused when they do not") {
  g_a *= 1e30F;
  g_b *= 1e30F;
  CHECK_NOTHROW(step());
  CHECK(a.allFinite());
  PairOptimizer<PairUpdate<LoraPair, Identity>> identity(6, 5, 3, {.learning_rate = 1e20}, {.damping = 0});
  const Matrix<float> a0 = a, b0 = b;
  CHECK_THROWS_WITH_AS(identity.step(a, g_a, b, g_b),
                       doctest::Contains("would make an Inf or NaN of finite numbers"), Error);
  CHECK(same_bits(a, a0));
  CHECK(same_bits(b, b0));
  CHECK(identity.momentum_a().isZero(0));
}

TEST_CASE_FIXTURE(Fixture, "shapes and overlaps are refused with the name and the remedy") {
  Matrix<float> other = Matrix<float>::Ones(6, 4);
  check_refused([&] { optimizer.step(other, g_a, b, g_b); }, "the shape of the weights is 6x4");
  check_refused([&] { optimizer.step(a, g_a, b, g_a); }, "the shape of the gradient is 6x3");
  check_refused([&] { optimizer.step(a, a, b, g_b); }, "weights and gradient overlap");
  Matrix<float> both = Matrix<float>::Random(10, 3);
  check_refused([&] { optimizer.step(both.topRows(6), g_a, both.bottomRows(5), g_b); },
                "the weights of one block and the weights of another overlap in memory");
  check_refused([&] { optimizer.step(a, g_a, b, a.topRows(5)); }, "overlap in memory");
  std::vector<Matrix<float>> several{a, a}, gradients{g_a, g_a};
  check_refused([&] { optimizer.step(several, gradients, b, g_b); }, "2 blocks A for 1");
}

TEST_CASE("options out of range are refused when the optimizer is made, and when they are set") {
  using Lora = PairOptimizer<PairUpdate<LoraPair>>;
  const auto refused = [](const char* words, OptimizerOptions options, PairOptions pair = {}) {
    CHECK_THROWS_WITH_AS(Lora(4, 5, 2, std::move(options), pair), doctest::Contains(words), Error);
  };
  refused("damping is -1", {}, {.damping = -1});
  refused("learning rate times the weight decay is 1", {.learning_rate = 0.5, .weight_decay = 2});
  refused("use Decay::all", {.decay = Decay::horizontal});
  refused("learning_rate is -1", {.learning_rate = -1});
  refused("2 blocks A and 2 blocks B", {}, {.blocks_of_a = 2, .blocks_of_b = 2});
  CHECK_THROWS_WITH_AS((PairOptimizer<PairUpdate<LoraPair, Identity>>(4, 5, 2, {.scale = Scale::match_rms})),
                       doctest::Contains("Scale::match_rms needs the size of the step"), Error);
  CHECK_THROWS_WITH_AS(PairOptimizer<PairUpdate<QueryKey>>(4, 5, 3, {.parameter = "qk"}),
                       doctest::Contains("parameter 'qk': the planes"), Error);
  Lora optimizer(4, 5, 2, {.learning_rate = 0.5, .weight_decay = 1});
  CHECK_THROWS_AS(optimizer.set_learning_rate(1), Error);
  CHECK_THROWS_AS(optimizer.set_weight_decay(2), Error);
  CHECK_THROWS_AS(optimizer.set_schedule_factor(2), Error);
  CHECK_THROWS_AS(optimizer.set_momentum(1), Error);
  CHECK(optimizer.options().learning_rate == 0.5);
  CHECK(optimizer.schedule_factor() == 1);
}

}}  // namespace pair_optimizer_test
