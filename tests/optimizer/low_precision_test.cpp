// SPDX-License-Identifier: Apache-2.0
// bfloat16 gradients, copies, split weights and stochastic rounding, in one optimizer and in a stack.
#include "support/inputs.hpp"

#include <symopt/group/named_groups.hpp>
#include <symopt/optimizer/adamw.hpp>
#include <symopt/optimizer/adaptive.hpp>
#include <symopt/optimizer/optimizer.hpp>
#include <symopt/stack/layerwise_optimizer.hpp>

#include <doctest/doctest.h>

#include <bit>
#include <cmath>

namespace low_precision_test { namespace {

using namespace symopt;
using namespace symopt_test;

using Halves = Matrix<bfloat16>;
constexpr Shape shape{13, 37};
const OptimizerOptions options{.learning_rate = 0.1, .parameter = "w"};

bfloat16 half(std::uint16_t bits) {
  bfloat16 x;
  x.value = bits;
  return x;
}
Halves rounded(const Matrix<float>& block) {
  return block.unaryExpr([](float x) { return to_bfloat16(x); });
}
Matrix<float> exact(const Halves& block) {
  return block.unaryExpr([](bfloat16 x) { return to_float(x); });
}
bool same(const Halves& a, const Halves& b) {
  return a.rows() == b.rows() && a.cols() == b.cols() &&
         std::equal(a.data(), a.data() + a.size(), b.data(),
                    [](bfloat16 x, bfloat16 y) { return x.value == y.value; });
}

TEST_CASE("bfloat16 rounds to the nearest, ties to even, and keeps NaN, infinities and zeros") {
  for (std::uint32_t bits = 0; bits < 0x10000U; ++bits) {  // every bfloat16 is itself
    const bfloat16 x = half(static_cast<std::uint16_t>(bits));
    const float value = to_float(x);
    if (std::isnan(value)) {
      CHECK(std::isnan(to_float(to_bfloat16(value))));
    } else {
      CHECK(to_bfloat16(value).value == x.value);
      CHECK(symopt::detail::rounded_by(value, 0xffffU).value == x.value);
    }
  }
  CHECK(to_bfloat16(std::bit_cast<float>(0x3f808000U)).value == 0x3f80U);  // a tie: even below
  CHECK(to_bfloat16(std::bit_cast<float>(0x3f818000U)).value == 0x3f82U);  // a tie: even above
  CHECK(to_bfloat16(std::bit_cast<float>(0x3f808001U)).value == 0x3f81U);
  CHECK(std::isnan(
      to_float(to_bfloat16(std::bit_cast<float>(0x7f800001U)))));  // a NaN only in the bits cut off
  CHECK(std::isnan(to_float(symopt::detail::rounded_by(std::bit_cast<float>(0x7fffffffU), 0xffffU))));
  CHECK(to_bfloat16(std::numeric_limits<float>::max()).value == 0x7f80U);
}

TEST_CASE("lanes round as one number does, at every width") {
  Random random(default_seed);
  for (int count = 1; count <= 2 * kernel::Lanes<float>::size; ++count) {
    std::vector<float> from(static_cast<std::size_t>(count));
    for (float& x : from) x = std::bit_cast<float>(static_cast<std::uint32_t>(random()));
    std::vector<bfloat16> to(from.size() + 1, half(0x1234U));
    std::vector<float> back(from.size());
    kernel::for_each_vector<float>(count, [&](auto at) {
      kernel::store_16_bits(to.data(), at,
                            kernel::nearest_bf16(kernel::load(std::as_const(from).data(), at)));
      kernel::store(back.data(), at, kernel::load(std::as_const(to).data(), at));
    });
    for (std::size_t k = 0; k < from.size(); ++k) {
      CHECK(to[k].value == to_bfloat16(from[k]).value);
      CHECK(std::bit_cast<std::uint32_t>(back[k]) == std::uint32_t(to[k].value) << 16);
    }
    CHECK(to.back().value == 0x1234U);
  }
}

/// Three steps of an optimizer, call(optimizer, gradient in bfloat16, the same in float).
template <class Rule>
void three_steps(const OptimizerOptions& given, const auto& call) {
  Random random(default_seed);
  Optimizer<Rule> optimizer(shape.rows, shape.cols, given);
  for (int step = 0; step < 3; ++step) {
    const Halves gradient = rounded(gaussian_block(shape, random).cast<float>());
    call(optimizer, gradient, exact(gradient));
  }
}

template <class Rule>
void check_storages() {
  Random random(default_seed + 1);
  const Matrix<float> start = gaussian_block(shape, random).cast<float>();
  OptimizerOptions decaying = options;
  decaying.weight_decay = 0.1;
  Matrix<float> plain = start, beside = start, columns_of = start;
  three_steps<Rule>(
      decaying, [&](auto& optimizer, const Halves&, const Matrix<float>& g) { optimizer.step(plain, g); });

  // A gradient in bfloat16 is the float that it stands for, in either order, and a copy is the weights
  // rounded.
  Halves copy = Halves::Zero(shape.rows, shape.cols);
  three_steps<Rule>(decaying, [&](auto& optimizer, const Halves& g, const Matrix<float>&) {
    optimizer.step(beside, g, copy);
    CHECK(same(copy, rounded(beside)));
  });
  CHECK(same_bits(beside, plain));
  using Columns = Eigen::Matrix<bfloat16, Eigen::Dynamic, Eigen::Dynamic>;
  Columns column_copy = copy;
  three_steps<Rule>(decaying, [&](auto& optimizer, const Halves& g, const Matrix<float>&) {
    optimizer.step(columns_of, Columns(g), column_copy);
  });
  CHECK(same_bits(columns_of, plain));
  CHECK(same(Halves(column_copy), copy));

  // Split weights are the same bits.
  Halves high(shape.rows, shape.cols);
  Matrix<std::uint16_t> low(shape.rows, shape.cols);
  split(start, split_weights(high, low));
  CHECK(same_bits(joined(split_weights(high, low)), start));
  three_steps<Rule>(decaying, [&](auto& optimizer, const Halves& g, const Matrix<float>&) {
    optimizer.step(split_weights(high, low), g);
  });
  CHECK(same_bits(joined(split_weights(high, low)), plain));

  // Weights in nothing but bfloat16: a step in float from them, rounded.
  Halves halves = rounded(start), expected = halves;
  Matrix<float> wide;
  Optimizer<Rule> in_float(shape.rows, shape.cols, decaying);
  three_steps<Rule>(decaying, [&](auto& optimizer, const Halves& g, const Matrix<float>& exact_g) {
    optimizer.step(halves, g);
    wide = exact(expected);
    in_float.step(wide, exact_g);
    expected = rounded(wide);
    CHECK(same(halves, expected));
  });
}

TEST_CASE("every storage steps as floats do: row rules, AdamW, and a rule without a kernel") {
  CAPTURE(default_seed);
  check_storages<Update<Embedding>>();
  check_storages<Update<LmHead>>();
  check_storages<Update<SwigluOutput>>();
  check_storages<AdamW>();
  check_storages<Adaptive<Trivial>>();
  check_storages<Adaptive<Embedding>>();
  check_storages<Adaptive<LmHead>>();
  check_storages<Adaptive<SwigluOutput>>();
  check_storages<Adaptive<LmHead, moments::Block>>();  // with a direction in memory
  check_storages<Adaptive<HiddenMatrix>>();
  check_storages<Update<LmHead, Then<RowNorm, FrobeniusNorm>>>();
}

TEST_CASE("every bfloat16 that is not finite is found at every place, and no other is") {
  const auto is_finite = [](const Halves& block) {
    return kernel::all_finite(kernel::GradientView<float>(symopt::detail::BlockView<const bfloat16>(block)));
  };
  for (std::uint32_t bits = 0; bits <= 0xffffU; ++bits) {
    const Halves block = Halves::Constant(1, 1, half(static_cast<std::uint16_t>(bits)));
    if (is_finite(block) != std::isfinite(to_float(block(0, 0)))) FAIL(bits);
  }
  const Halves largest =
      Halves::Constant(1, 71003, half(0xff7fU));  // of several chunks, the last one shorter
  CHECK(is_finite(largest));
  for (const Index place : {0, 1, 15, 16, 16383, 16384, 40000, 65535, 65536, 70999, 71001, 71002})
    for (const std::uint16_t bad : {std::uint16_t(0x7f80U), std::uint16_t(0xff80U), std::uint16_t(0x7f81U)}) {
      Halves block = largest;
      block(0, place) = half(bad);
      CHECK_FALSE(is_finite(block));
    }
}

TEST_CASE("a bfloat16 gradient that is not finite changes nothing") {
  for (const std::uint16_t bad : {std::uint16_t(0x7f80U), std::uint16_t(0xff80U), std::uint16_t(0x7fc0U)}) {
    Matrix<float> weights = Matrix<float>::Ones(2, 40);
    Halves gradient = rounded(weights), copy = gradient;
    gradient(1, 39) = half(bad);
    copy(0, 0) = half(0x1234U);
    const Matrix<float> before = weights;
    const Halves copy_before = copy;
    Optimizer<Update<Embedding>> optimizer(2, 40);
    CHECK_THROWS_AS(optimizer.step(weights, gradient, copy), std::invalid_argument);
    CHECK(same_bits(weights, before));
    CHECK(same(copy, copy_before));
    CHECK(optimizer.momentum().isZero(0));
  }
}

TEST_CASE("halves that overlap or have another shape are refused by name") {
  Halves block = Halves::Zero(2, 8);
  Matrix<float> weights = Matrix<float>::Zero(2, 4);
  Optimizer<Sign> optimizer(2, 4, options);
  const Matrix<float> gradient = Matrix<float>::Zero(2, 4);
  CHECK_THROWS_WITH_AS(optimizer.step(weights, gradient, block), doctest::Contains("copy"),
                       std::invalid_argument);
  auto left = block.leftCols(4), middle = block.middleCols(2, 4);
  CHECK_THROWS_WITH_AS(optimizer.step(left, middle), doctest::Contains("overlap"), std::invalid_argument);
  CHECK_THROWS_WITH_AS(optimizer.step(weights, left, middle), doctest::Contains("overlap"),
                       std::invalid_argument);
  auto right = block.rightCols(4);
  CHECK(optimizer.step(left, right).applied);  // column ranges of one matrix are apart
}

/// The weights, all x before, after a step without a gradient: rounded stochastically and nothing else.
Halves stochastic_copy(float x, std::uint64_t seed, int steps, Shape size) {
  Matrix<float> weights = Matrix<float>::Constant(size.rows, size.cols, x);
  Halves copy = Halves::Zero(size.rows, size.cols);
  Optimizer<Sign> optimizer(size.rows, size.cols, options);
  for (int step = 0; step < steps; ++step)
    optimizer.step(weights, Matrix<float>::Zero(size.rows, size.cols), stochastic(copy, seed));
  return copy;
}

TEST_CASE("stochastic rounding is unbiased, exact where it can be, and chooses between the two neighbours") {
  CAPTURE(default_seed);
  const Shape size{300, 333};
  const double count = 300 * 333;
  for (const std::uint32_t part : {1U, 0x100U, 0x4000U, 0x8000U, 0xc000U, 0xffffU}) {
    const float x = std::bit_cast<float>(0x3f800000U + part);
    const Halves copy = stochastic_copy(x, default_seed, 1, size);
    double up = 0;
    for (Index k = 0; k < copy.size(); ++k) {
      CHECK_MESSAGE((copy.data()[k].value == 0x3f80U || copy.data()[k].value == 0x3f81U), part);
      up += copy.data()[k].value == 0x3f81U;
    }
    const double probability = double(part) / 65536;
    CHECK(std::abs(up / count - probability) <=
          5 * std::sqrt(probability * (1 - probability) / count) + 1e-12);
  }
  CHECK(same(stochastic_copy(-1.5F, 1, 1, size), Halves::Constant(300, 333, bfloat16(-1.5F))));
}

TEST_CASE("stochastic rounding depends on seed, name, step, row and column, and on nothing else") {
  const Shape size{40, 50};
  const float x = std::bit_cast<float>(0x3f808000U);
  const Halves base = stochastic_copy(x, 1, 1, size);
  const auto changed = [&](const Halves& other) {
    int count = 0;
    for (Index k = 0; k < base.size(); ++k) count += base.data()[k].value != other.data()[k].value;
    return count / double(base.size());
  };
  CHECK(same(stochastic_copy(x, 1, 1, size), base));
  CHECK(std::abs(changed(stochastic_copy(x, 2, 1, size)) - 0.5) <= 0.06);
  CHECK(std::abs(changed(stochastic_copy(x, 1, 2, size)) - 0.5) <= 0.06);
  Matrix<float> weights = Matrix<float>::Constant(40, 50, x);
  Halves copy(40, 50);
  Optimizer<Sign>(40, 50, {.parameter = "other"})
      .step(weights, Matrix<float>::Zero(40, 50), stochastic(copy, 1));
  CHECK(std::abs(changed(copy) - 0.5) <= 0.06);
  // Neither rows nor columns repeat, and column-major memory is rounded alike.
  for (Index i = 1; i < 40; ++i) CHECK_FALSE(same(base.row(i), base.row(0)));
  for (Index j = 1; j < 50; ++j) CHECK_FALSE(same(base.col(j), base.col(0)));
  Eigen::MatrixXf columns = weights;
  Eigen::Matrix<bfloat16, Eigen::Dynamic, Eigen::Dynamic> column_copy(40, 50);
  Optimizer<Sign>(40, 50, options).step(columns, Matrix<float>::Zero(40, 50), stochastic(column_copy, 1));
  CHECK(same(Halves(column_copy), base));
}

TEST_CASE(
    "weights in bfloat16 follow steps smaller than their precision on average, and not without chance") {
  Halves nearest = Halves::Constant(64, 64, bfloat16(1.0F)), chance = nearest;
  const Matrix<float> gradient = Matrix<float>::Ones(64, 64);
  const OptimizerOptions small{.learning_rate = 1e-4, .momentum = 0};
  Optimizer<Sign> one(64, 64, small), other(64, 64, small);
  for (int step = 0; step < 100; ++step) {
    one.step(nearest, gradient);
    other.step(stochastic(chance, default_seed), gradient);
  }
  CHECK(same(nearest, Halves::Constant(64, 64, bfloat16(1.0F))));
  CHECK(std::abs(exact(chance).cast<double>().mean() - 0.99) <= 1e-3);
}

TEST_CASE("a stack takes bfloat16 gradients and writes bfloat16 copies, masks and layouts included") {
  CAPTURE(default_seed);
  Random random(default_seed);
  const Matrix<float> start = gaussian_block({8, 21}, random).cast<float>();
  Matrix<float> head = start, pair = start, gains = start, plain_head = start, plain_pair = start,
                plain_gains = start;
  Halves g = rounded(gaussian_block({8, 21}, random).cast<float>());
  const Matrix<float> exact_g = exact(g);
  Halves head_copy = Halves::Zero(8, 21), pair_copy = head_copy, gains_copy = head_copy;
  const Layout paired = layout::gate_up(GateUp::concatenated, Neurons::paired);
  const OptimizerOptions rates{.learning_rate = 0.1, .weight_decay = 0.1};
  const RowMask mask({true, false, true, true, false, true, true, true});
  LayerwiseOptimizer stack, plain;
  stack.add<LmHead>("head", head, g, rates, {}, mask);
  stack.add<SwigluInput>("pair", pair, g, rates, paired);
  stack.add<AdamW>("gains", gains, exact_g, rates);
  stack.set_gradient("gains", g);
  plain.add<LmHead>("head", plain_head, exact_g, rates, {}, mask);
  plain.add<SwigluInput>("pair", plain_pair, exact_g, rates, paired);
  plain.add<AdamW>("gains", plain_gains, exact_g, rates);
  stack.set_copy("head", head_copy);
  stack.set_copy("pair", pair_copy);
  stack.set_copy("gains", gains_copy, 7);
  for (int step = 0; step < 3; ++step) {
    stack.step();
    plain.step();
  }
  CHECK(same_bits(head, plain_head));
  CHECK(same_bits(pair, plain_pair));
  CHECK(same_bits(gains, plain_gains));
  CHECK(same(pair_copy, rounded(pair)));
  for (Index i = 0; i < 8; ++i)
    CHECK(same(head_copy.row(i), i == 1 || i == 4 ? Halves::Zero(1, 21) : rounded(head.row(i))));
  CHECK((exact(gains_copy) - gains).cwiseAbs().maxCoeff() <= 0x1p-7F * gains.cwiseAbs().maxCoeff());
  CHECK_FALSE(same(gains_copy, rounded(gains)));

  stack.set_copy("pair", std::nullopt);
  const Halves left = pair_copy;
  stack.step();
  CHECK(same(pair_copy, left));
  g(0, 0) = half(0x7fc0U);
  CHECK_THROWS_WITH_AS(stack.step(), doctest::Contains("head"), std::invalid_argument);
  Halves small = Halves::Zero(2, 2);
  CHECK_THROWS_WITH_AS(stack.set_copy("head", small), doctest::Contains("copy"), std::invalid_argument);
  CHECK_THROWS_WITH_AS(stack.set_gradient("head", small), doctest::Contains("2x2"), std::invalid_argument);
}

TEST_CASE("finite weights stay finite in bfloat16, the largest of them where they are beyond it") {
  const float most = std::numeric_limits<float>::max();
  const auto rounded = [&](float x, kernel::Rounder rounder) {
    std::vector<bfloat16> to(kernel::Lanes<float>::size, half(0));
    kernel::store_16_bits(to.data(), rounder(kernel::Lanes<float>(x), 0, 0));
    return to[0].value;
  };
  for (const auto& rounder :
       {kernel::Rounder{}, kernel::Rounder{Rounding::stochastic, kernel::RandomKey::of(1, "", 0, 0)}}) {
    CHECK(rounded(most, rounder) == 0x7f7fU);
    CHECK(rounded(-most, rounder) == 0xff7fU);
    CHECK(rounded(std::bit_cast<float>(0x7f7f8000U), rounder) == 0x7f7fU);
    CHECK(rounded(std::numeric_limits<float>::infinity(), rounder) == 0x7f80U);
    CHECK(std::isnan(to_float(half(rounded(std::bit_cast<float>(0x7f800001U), rounder)))));
  }
  Halves weights = Halves::Constant(1, 1, half(0xff7fU));
  Optimizer<Sign> optimizer(1, 1, {.learning_rate = 1e36});
  CHECK(optimizer.step(weights, Matrix<float>::Ones(1, 1)).applied);
  CHECK(weights(0, 0).value == 0xff7fU);
}

}}  // namespace low_precision_test
