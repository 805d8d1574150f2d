// SPDX-License-Identifier: Apache-2.0
// Rules without an absolute eps do not see the scale of a block, in float from 1e-30 to 1e30.
#include "support/coupled_inverse_root.hpp"
#include "support/inputs.hpp"

#include <symopt/check/laws/classify.hpp>
#include <symopt/check/laws/homogeneity.hpp>
#include <symopt/symopt.hpp>

#include <doctest/doctest.h>

#include <symopt/check/doctest.hpp>

namespace homogeneity_test { namespace {

using namespace symopt;
using namespace symopt_test;

constexpr Shape shape{8, 6};

using check::any_rule;
using check::check_homogeneous;
using check::check_homogeneous_to_the_bit;
using check::in_float_only;

const check::CheckOptions blocks{.trials = 32, .shapes = {{8, 6}, {4, 8}}};

/// In float and in double, on blocks of scales 1e-30 to 1e30 among others.
template <class Rule>
void check_degree_zero(const char* name, const Rule& rule) {
  CAPTURE(std::string(name));
  const check::AnyRule any = any_rule(rule);
  for (const check::AnyRule& precision : {any, in_float_only(any)}) {
    SYMOPT_CHECK(check_homogeneous(precision, 0, blocks));
    SYMOPT_CHECK(check_homogeneous_to_the_bit(precision, 0, blocks));
  }
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
    // Float against float: the default polar method has coefficients of its own in each precision.
    const auto in_float = [&](const Matrix<double>& x) {
      return as_double(rule(Matrix<float>(x.cast<float>())));
    };
    CHECK(relative_error(in_float(5e37 * block), in_float(block)) <= 1e-5);
    const Matrix<double> subnormal = as_double((1e-40 * block).cast<float>().eval());
    CHECK(relative_error(in_float(subnormal), in_float(1e40 * subnormal)) <= 1e-4);
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
    const auto check = [&](const auto& rule) { SYMOPT_CHECK(check_homogeneous(rule, alpha, blocks)); };
    check(DualNorm<Spectral<>>{.alpha = alpha});
    check(DualNorm<RowNorm>{alpha, row_norm});
    check(DualNorm<Sign>{.alpha = alpha});
    check(Update<Router, DualNorm<LeftSpectral<>>>({.alpha = alpha}));
  }
}

TEST_CASE("DualNorm behind a scale-free stage does not see the scale of the block") {
  SYMOPT_CHECK(
      check_homogeneous(Update<HiddenMatrix, Then<FrobeniusNorm, DualNorm<Spectral<>>>>{}, 0, blocks));
  SYMOPT_CHECK(
      check_homogeneous(Update<HiddenMatrix, Then<DualNorm<Spectral<>>, FrobeniusNorm>>{}, 0, blocks));
}

/// The direction of the block times the cube root of its largest entry, exact under powers of eight.
Matrix<double> times_cube_root(const Matrix<double>& x) {
  const double largest = x.cwiseAbs().maxCoeff();
  if (!(largest > 0)) return x;
  const int thirds = static_cast<int>(std::floor(std::ilogb(largest) / 3.0));
  return (x / largest) * std::ldexp(std::cbrt(std::ldexp(largest, -3 * thirds)), thirds);
}

TEST_CASE("a degree may be a third, and one that no power of two has is refused") {
  SYMOPT_CHECK(check::check_homogeneous_to_the_bit(times_cube_root, 1.0 / 3));
  CHECK_THROWS_WITH_AS(check::check_homogeneous_to_the_bit(times_cube_root, 0.3141),
                       doctest::Contains("degree 0.3141"), Error);
  const check::Classification row = check::classify(times_cube_root);
  REQUIRE(row.degree);
  CHECK(*row.degree == doctest::Approx(1.0 / 3).epsilon(1e-3));
}

TEST_CASE("an absolute eps destroys the scale") {
  const auto is_clearly_broken = [](const auto& rule) {
    const check::Report report = check_homogeneous(rule, 0, blocks);
    SYMOPT_CHECK_VERDICT(check::Verdict::violated, report);
    CHECK(report.counterexample->error > 0.05);
  };
  is_clearly_broken(RowNorm{});
  is_clearly_broken(ColumnNorm{});
  is_clearly_broken(Spectral<polar::PolarExpress>{polar::PolarExpress::muon()});
  is_clearly_broken(Spectral<polar::CoupledNewtonSchulz>{});
  is_clearly_broken(Spectral<polar::CoupledPolarExpress>{});
}

}}  // namespace homogeneity_test
