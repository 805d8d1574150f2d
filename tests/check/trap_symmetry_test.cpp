// SPDX-License-Identifier: Apache-2.0
// A map keeps every symmetry that its input has: zero, equal and missing rows stay what they are. And a
// number never comes out of what is not a number.
#include "support/coupled_inverse_root.hpp"
#include "support/reference.hpp"

#include <symopt/symopt.hpp>

#include <doctest/doctest.h>

#include <functional>

namespace trap_symmetry_test { namespace {

using namespace symopt;
using namespace symopt_test;
using polar::Exact;

template <class Scalar>
struct Rule {
  std::string name;
  std::function<Matrix<Scalar>(const Matrix<Scalar>&)> map;
};

/// Rules of every kind.
template <class Scalar>
const std::vector<Rule<Scalar>>& every_rule() {
  static const std::vector<Rule<Scalar>> rules = [] {
    std::vector<Rule<Scalar>> all;
    const auto add = [&](const char* name, const auto& rule) {
      all.push_back({name, [rule](const Matrix<Scalar>& block) { return rule(block); }});
    };
    add("Identity", Identity{});
    add("FrobeniusNorm", FrobeniusNorm{});
    add("RowNorm", RowNorm{});
    add("RowNorm without eps", RowNorm{.eps = 0});
    add("ColumnNorm", ColumnNorm{.eps = 0});
    add("Sign", Sign{});
    add("Spectral", Spectral<>{});
    add("Exact", Spectral<Exact>{});
    add("NewtonSchulz", LeftSpectral<polar::NewtonSchulz>{});
    add("CoupledNewtonSchulz", RightSpectral<polar::CoupledNewtonSchulz>{});
    add("CoupledPolarExpress", Spectral<polar::CoupledPolarExpress>{});
    add("heads", HeadSpectral<Side::right, 2>{});
    add("projection", HorizontalProjection<Side::left, Side::right>{});
    add("DualNorm", DualNorm<Spectral<>>{.alpha = 0.5});
    add("DualNorm of negative power", DualNorm<Sign>{.alpha = -1});
    add("hybrid", Then<RowNorm, Spectral<Exact>>{});
    add("other hybrid", Then<Spectral<>, RowNorm>{});
    add("head update", Update<LmHead>{});
    add("hidden update", Update<HiddenMatrix>{});
    add("sign update", Update<Product<RowPermutation, ColumnPermutation, SharedShift, ColumnShift>>{});
    return all;
  }();
  return rules;
}

template <class Scalar>
void check_that_zero_stays_zero() {
  for (const auto& rule : every_rule<Scalar>()) {
    CAPTURE(rule.name);
    for (const Shape shape : {Shape{4, 6}, Shape{6, 4}, Shape{1, 2}, Shape{0, 2}, Shape{3, 0}}) {
      const Matrix<Scalar> zero = Matrix<Scalar>::Zero(shape.rows, shape.cols);
      CHECK(rule.map(zero) == zero);
    }
  }
}

TEST_CASE("a zero or empty block gives a zero update in float") {
  check_that_zero_stays_zero<float>();
}
TEST_CASE("a zero or empty block gives a zero update in double") {
  check_that_zero_stays_zero<double>();
}

template <class Scalar>
void check_that_nan_comes_out() {
  for (const auto& rule : every_rule<Scalar>()) {
    CAPTURE(rule.name);
    CAPTURE(default_seed);
    Random random(default_seed);
    for (const Shape shape : {Shape{4, 6}, Shape{6, 4}})
      for (const Index place : {Index(0), Index(13), shape.rows * shape.cols - 1}) {
        Matrix<Scalar> block = gaussian_block(shape, random).cast<Scalar>();
        block.data()[place] = std::numeric_limits<Scalar>::quiet_NaN();
        CHECK(rule.map(block).hasNaN());
        Matrix<Scalar> only = Matrix<Scalar>::Zero(shape.rows, shape.cols);
        only.data()[place] = std::numeric_limits<Scalar>::quiet_NaN();
        CHECK(rule.map(only).hasNaN());
      }
  }
}

TEST_CASE("what is not a number never comes out as one in float") {
  check_that_nan_comes_out<float>();
}
TEST_CASE("what is not a number never comes out as one in double") {
  check_that_nan_comes_out<double>();
}

TEST_CASE("equal rows get equal updates and equal columns too") {
  for (const auto& rule : every_rule<double>()) {
    CAPTURE(rule.name);
    CAPTURE(default_seed);
    Random random(default_seed);
    Matrix<double> block = gaussian_block({6, 8}, random);
    block.row(4) = block.row(1);
    const Matrix<double> rows = rule.map(block);
    CHECK(relative_error(rows.row(4), rows.row(1)) <= 1e-10);
    CHECK(relative_error(rows.row(4), rows.row(2)) > 1e-2);
    if (rule.name == "heads") continue;  // only columns of the same place in their heads
    block = gaussian_block({8, 6}, random);
    block.col(4) = block.col(1);
    const Matrix<double> columns = rule.map(block);
    CHECK(relative_error(columns.col(4), columns.col(1)) <= 1e-10);
    CHECK(relative_error(columns.col(4), columns.col(2)) > 1e-2);
  }
}

TEST_CASE("the sign of zero is zero, of either sign of zero") {
  const Matrix<double> block{{0.0, -0.0, 1e-300}, {-1e-300, 2, -infinity}};
  const Matrix<double> expected{{0, 0, 1}, {-1, 1, -1}};
  CHECK(Sign{}(block) == expected);
  const Matrix<float> subnormal{{1e-44F, -1e-44F, 0.0F}};
  CHECK(Sign{}(subnormal) == Matrix<float>{{1, -1, 0}});
}

TEST_CASE("a zero row or column stays zero in every norm") {
  CAPTURE(default_seed);
  Random random(default_seed);
  Matrix<double> block = gaussian_block({5, 4}, random);
  block.row(2).setZero();
  block.col(1).setZero();
  for (const Matrix<double>& result :
       {RowNorm{.eps = 0}(block), ColumnNorm{.eps = 0}(block), Spectral<>{}(block), Spectral<Exact>{}(block),
        Sign{}(block), FrobeniusNorm{}(block)}) {
    CHECK(result.allFinite());
    CHECK(result.row(2).norm() <= 1e-14);
    CHECK(result.col(1).norm() <= 1e-14);
    CHECK(result.norm() > 0.5);
  }
}

TEST_CASE_TEMPLATE("the polar factor of a deficient block is a partial isometry, never completed", Scalar,
                   float, double) {
  CAPTURE(default_seed);
  Random random(default_seed);
  const double tolerance = 100 * roundoff<Scalar>;
  for (const Index rank : {Index(0), Index(1), Index(3)}) {
    CAPTURE(rank);
    const std::vector<double> values(static_cast<std::size_t>(rank), 2.0);
    const Matrix<Scalar> block = block_with_spectrum({6, 5}, values, random).cast<Scalar>();
    const Eigen::VectorXd exact = singular_values(as_double(Spectral<Exact>{}(block)));
    for (Index i = 0; i < 5; ++i) CHECK(std::abs(exact(i) - (i < rank ? 1 : 0)) <= tolerance);
    const auto check = [&](const Eigen::VectorXd& actual, double band) {
      for (Index i = 0; i < 5; ++i)
        CHECK(std::abs(actual(i) - (i < rank ? 1 : 0)) <= (i < rank ? band : 1e4 * roundoff<Scalar>));
    };
    check(singular_values(as_double(Spectral<>{}(block))), 0.07);
    check(singular_values(as_double(Spectral<polar::PolarExpress>{}(block))),
          std::max(3e-8, 1e4 * roundoff<Scalar>));
  }
}

}}  // namespace trap_symmetry_test
