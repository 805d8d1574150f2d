// SPDX-License-Identifier: Apache-2.0
// Rules without an absolute eps do not see the scale of a block, in float from 1e-30 to 1e30.
#include "support/inputs.hpp"

#include <symopt/symopt.hpp>

#include <doctest/doctest.h>

namespace {

using namespace symopt;
using namespace symopt_test;

constexpr Shape shape{8, 6};

/// The largest error of map(c X) = c^degree map(X) over decades, and whether powers of two are exact.
struct Homogeneity {
  double error = 0;
  bool is_exact = true;
};

template <class Scalar, class Rule>
Homogeneity homogeneity_of(const Rule& rule, double degree, double smallest = 1e-30, double largest = 1e30) {
  Random random(default_seed);
  const Matrix<Scalar> block = gaussian_block(shape, random).cast<Scalar>();
  const Matrix<Scalar> result = rule(block);
  Worst error;
  for (double c = smallest; c <= largest * 1.001; c *= 10) {
    const Matrix<Scalar> scaled = Scalar(c) * block;
    error.add(relative_error(as_double(rule(scaled)), std::pow(c, degree) * as_double(result)));
  }
  Homogeneity verdict{error.value(), true};
  const int lowest = std::ilogb(smallest) + 4;
  for (int k = lowest; k <= std::ilogb(largest) - 4; k += 3) {
    const Matrix<Scalar> scaled = std::ldexp(Scalar(1), k) * block;
    const Matrix<Scalar> expected = static_cast<Scalar>(std::exp2(k * degree)) * result;
    verdict.is_exact = verdict.is_exact && same_bits(rule(scaled), expected);
  }
  return verdict;
}

template <class Rule>
void check_degree_zero(const char* name, const Rule& rule) {
  CAPTURE(std::string(name));
  CAPTURE(default_seed);
  const Homogeneity in_float = homogeneity_of<float>(rule, 0);
  CHECK(in_float.error <= 1e-5);
  CHECK(in_float.is_exact);
  const Homogeneity in_double = homogeneity_of<double>(rule, 0, 1e-120, 1e120);
  CHECK(in_double.error <= 1e-12);
  CHECK(in_double.is_exact);
}

constexpr RowNorm row_norm{.eps = 0};
constexpr ColumnNorm column_norm{.eps = 0};

TEST_CASE("norms and signs are homogeneous of degree 0, to the bit under powers of two") {
  check_degree_zero("FrobeniusNorm", FrobeniusNorm{});
  check_degree_zero("Sign", Sign{});
  check_degree_zero("RowNorm", row_norm);
  check_degree_zero("ColumnNorm", column_norm);
}

TEST_CASE("polar factors are homogeneous of degree 0, to the bit under powers of two") {
  check_degree_zero("Spectral", Spectral<>{});
  check_degree_zero("LeftSpectral", LeftSpectral<>{});
  check_degree_zero("RightSpectral", RightSpectral<>{});
  check_degree_zero("Exact", Spectral<polar::Exact>{});
  check_degree_zero("NewtonSchulz", Spectral<polar::NewtonSchulz>{});
  check_degree_zero("safety", Spectral<polar::PolarExpress>{{.safety = 1.02}});
  check_degree_zero("Zolotarev", Spectral<polar::Zolotarev>{});
  check_degree_zero("GramNewtonSchulz", Spectral<polar::GramNewtonSchulz>{});
  check_degree_zero("heads", HeadSpectral<Side::left, 4>{});
}

TEST_CASE("derived updates are homogeneous of degree 0, to the bit under powers of two") {
  check_degree_zero("hidden matrix", Update<HiddenMatrix>{});
  check_degree_zero("head", Update<LmHead>(row_norm));
  check_degree_zero("hybrid", Update<LmHead, Then<RowNorm, Spectral<>>>({row_norm, Spectral<>{}}));
  check_degree_zero("other hybrid", Update<Embedding, Then<Spectral<>, RowNorm>>({Spectral<>{}, row_norm}));
  check_degree_zero("dual norm of power 0", Update<HiddenMatrix, DualNorm<Spectral<>>>({.alpha = 0}));
}

TEST_CASE("scales beyond the range of squares, down to subnormal numbers, are survived") {
  CAPTURE(default_seed);
  Random random(default_seed);
  const Matrix<double> block = gaussian_block(shape, random);
  const auto check = [&](const auto& rule) {
    const Matrix<double> expected = rule(block);
    CHECK(relative_error(rule((1e-300 * block).eval()), expected) <= 1e-12);
    CHECK(relative_error(rule((1e300 * block).eval()), expected) <= 1e-12);
    const Matrix<float> huge = (5e37 * block).cast<float>();
    CHECK(relative_error(as_double(rule(huge)), expected) <= 1e-5);
    const Matrix<float> subnormal = (1e-40 * block).cast<float>();
    CHECK(relative_error(as_double(rule(subnormal)), rule(as_double(subnormal).eval())) <= 1e-4);
  };
  check(FrobeniusNorm{});
  check(Sign{});
  check(row_norm);
  check(column_norm);
  check(Spectral<>{});
  check(Spectral<polar::Exact>{});
  check(Spectral<polar::NewtonSchulz>{});
}

TEST_CASE("DualNorm is homogeneous of its power") {
  for (const double alpha : {0.5, 1.0, -0.25}) {
    CAPTURE(alpha);
    const auto check = [&](const auto& rule) {
      CHECK(homogeneity_of<float>(rule, alpha, 1e-15, 1e15).error <= 1e-5);
      CHECK(homogeneity_of<double>(rule, alpha).error <= 1e-12);
    };
    check(DualNorm<Spectral<>>{.alpha = alpha});
    check(DualNorm<RowNorm>{alpha, row_norm});
    check(DualNorm<Sign>{.alpha = alpha});
    check(Update<Router, DualNorm<LeftSpectral<>>>({.alpha = alpha}));
  }
}

TEST_CASE("DualNorm behind a scale-free stage does not see the scale of the block") {
  using Stages = Then<FrobeniusNorm, DualNorm<Spectral<>>>;
  CHECK(homogeneity_of<double>(Update<HiddenMatrix, Stages>{}, 0).error <= 1e-12);
  using Other = Then<DualNorm<Spectral<>>, FrobeniusNorm>;
  CHECK(homogeneity_of<double>(Update<HiddenMatrix, Other>{}, 0).error <= 1e-12);
}

TEST_CASE("an absolute eps destroys the scale") {
  CAPTURE(default_seed);
  const auto error = [](const auto& rule) { return homogeneity_of<double>(rule, 0, 1e-9, 1e3).error; };
  CHECK(error(RowNorm{}) > 0.1);
  CHECK(error(ColumnNorm{}) > 0.1);
  CHECK(error(Spectral<polar::PolarExpress>{polar::PolarExpress::muon()}) > 0.1);
  CHECK(error(Spectral<polar::CoupledNewtonSchulz>{}) > 0.1);
  CHECK(error(Spectral<polar::CoupledPolarExpress>{}) > 0.1);
  // The damped Gram fails as soon as the largest singular value is about a thousandth.
  CHECK(homogeneity_of<double>(Spectral<polar::CoupledPolarExpress>{}, 0, 1e-4, 1).error > 0.1);
}

}  // namespace
