// SPDX-License-Identifier: Apache-2.0
// Compiled with -ffast-math, which lets the compiler take every number for finite: what is not is found all
// the same.
#include <symopt/check.hpp>
#include <symopt/diagnostics/router_statistics.hpp>
#include <symopt/state/state.hpp>
#include <symopt/symopt.hpp>

#include <doctest/doctest.h>

#include <bit>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>

namespace fast_math_test { namespace {

using namespace symopt;

// From bits, as -ffast-math makes of std::numeric_limits<double>::quiet_NaN() what it likes.
const double nan = std::bit_cast<double>(std::uint64_t{0x7ff8000000000000U});
const double inf = std::bit_cast<double>(std::uint64_t{0x7ff0000000000000U});
const float float_nan = std::bit_cast<float>(std::uint32_t{0x7fc00000U});

TEST_CASE("finite is what the bits say, in every scalar") {
  for (const double x : {nan, -nan, inf, -inf}) {
    CHECK_FALSE(symopt::detail::is_finite(x));
    CHECK_FALSE(symopt::detail::is_finite(static_cast<float>(x)));
    CHECK_FALSE(symopt::detail::is_finite(static_cast<long double>(x)));
  }
  for (const double x : {0.0, -1.0, 1e308, 5e-324}) {
    CHECK(symopt::detail::is_finite(x));
    CHECK(symopt::detail::is_finite(static_cast<long double>(x)));
  }
  CHECK(symopt::detail::is_finite(3e38F));
  CHECK(symopt::detail::is_finite(1e4000L));
}

TEST_CASE("logits that are not finite are refused") {
  for (const float x : {float_nan, static_cast<float>(inf), static_cast<float>(-inf)}) {
    Matrix<float> logits = Matrix<float>::Ones(3, 4);
    logits(1, 2) = x;
    CHECK_THROWS_AS(router_statistics(logits, 1), std::invalid_argument);
  }
}

TEST_CASE("options that are not finite are refused") {
  for (const double x : {nan, inf, -inf}) {
    CHECK_THROWS_AS(validate(OptimizerOptions{.learning_rate = x}), std::invalid_argument);
    CHECK_THROWS_AS(validate(OptimizerOptions{.momentum = x}), std::invalid_argument);
    CHECK_THROWS_AS(validate(OptimizerOptions{.weight_decay = x}), std::invalid_argument);
    CHECK_THROWS_AS(LayerwiseOptimizer({.ratios = {.router = x}}), std::invalid_argument);
    CHECK_THROWS_AS(LayerwiseOptimizer().set_schedule_factor(x), std::invalid_argument);
    CHECK_THROWS_AS((RowNorm{.eps = x}.validate()), std::invalid_argument);
    CHECK_THROWS_AS((AdamW{.eps = x}.validate()), std::invalid_argument);
    CHECK_THROWS_AS((DualNorm<Sign>{.alpha = x}.validate()), std::invalid_argument);
  }
}

TEST_CASE("a gradient that is not finite is refused, and nothing has changed") {
  for (const Index place : {0, 7, 11}) {
    Optimizer<Update<LmHead>> optimizer(4, 3);
    Matrix<float> weights = Matrix<float>::Ones(4, 3), gradient = weights;
    gradient.data()[place] = float_nan;
    CHECK_THROWS_AS(optimizer.step(weights, gradient), NonFiniteGradient);
    CHECK(weights == Matrix<float>::Ones(4, 3));
  }
}

TEST_CASE("a state with a NaN is not written over a good one, and not loaded") {
  const std::filesystem::path path = std::filesystem::temp_directory_path() / "symopt_fast_math.safetensors";
  Optimizer<Update<LmHead>> optimizer(4, 3);
  Matrix<float> weights = Matrix<float>::Ones(4, 3), gradient = weights;
  optimizer.step(weights, gradient);
  interop::save_state(optimizer, path);
  {  // the file ends with the last entry of the momentum
    std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
    file.seekp(-std::streamoff{sizeof float_nan}, std::ios::end);
    file.write(reinterpret_cast<const char*>(&float_nan), sizeof float_nan);
  }
  Optimizer<Update<LmHead>> again(4, 3);
  CHECK_THROWS_AS(interop::load_state(again, path), std::invalid_argument);
  CHECK(again.momentum().row(3)[2] == 0);
  interop::load_state(again, path, {.allow_non_finite = true});
  CHECK_FALSE(symopt::detail::is_finite(again.momentum().row(3)[2]));
  interop::save_state(optimizer, path);
  CHECK_THROWS_AS(interop::save_state(again, path), std::invalid_argument);
  CHECK_NOTHROW(interop::load_state(again, path));
  CHECK(symopt::detail::is_finite(again.momentum().row(3)[2]));
  std::filesystem::remove(path);
}

TEST_CASE("a rule that makes NaN does not hold, and a sound one does") {
  const auto makes_nan = [](const Matrix<double>& x) -> Matrix<double> { return nan * x; };
  const check::Report bad = check::check_equivariance<Embedding>(makes_nan);
  INFO(bad);
  CHECK(bad.verdict == check::Verdict::violated);
  const auto once = [](const Matrix<double>& x) -> Matrix<double> {
    Matrix<double> y = RowNorm{}(x);
    if (y.rows() > 2) y(1, 0) = nan;
    return y;
  };
  CHECK(check::check_equivariance<Embedding>(once).verdict == check::Verdict::violated);
  CHECK(check::check_equivariance<Embedding>(RowNorm{}).verdict == check::Verdict::holds);
}

}}  // namespace fast_math_test
