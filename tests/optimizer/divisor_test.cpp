// SPDX-License-Identifier: Apache-2.0
// Row and column norms with either divisor, as maps, in updates and in the steps of an optimizer.
#include "support/inputs.hpp"

#include <symopt/derive/update.hpp>
#include <symopt/group/named_groups.hpp>
#include <symopt/optimizer/optimizer.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

namespace divisor_test { namespace {

using namespace symopt;
using namespace symopt_test;

/// Every row over its divisor, in plain Eigen.
Matrix<double> rows_over(Matrix<double> block, double eps, Divisor divisor) {
  for (Index i = 0; i < block.rows(); ++i) {
    const double norm = block.row(i).norm();
    if (norm > 0) block.row(i) /= divisor == Divisor::norm_plus_eps ? norm + eps : std::max(norm, eps);
  }
  return block;
}

/// Rows of lengths from far below eps to far above, one of them zero.
Matrix<double> rows_about(double eps, Shape shape) {
  Random random(default_seed);
  Matrix<double> block = gaussian_block(shape, random);
  for (Index i = 0; i < shape.rows; ++i) block.row(i) *= eps * std::pow(10.0, double(i - shape.rows / 2));
  block.row(1).setZero();
  return block;
}

constexpr double eps = 1e-3;

TEST_CASE("a norm divides by norm + eps or by the larger of both") {
  for (const Divisor divisor : {Divisor::norm_plus_eps, Divisor::max_of_norm_and_eps}) {
    const Matrix<double> block = rows_about(eps, {9, 6});
    const Matrix<double> expected = rows_over(block, eps, divisor);
    CHECK(relative_error(RowNorm{eps, divisor}(block), expected) <= 1e-14);
    CHECK(relative_error(ColumnNorm{eps, divisor}(block.transpose()), expected.transpose()) <= 1e-14);
    CHECK(relative_error(RowNorm{eps, divisor}(block.cast<float>()).cast<double>(), expected) <= 1e-6);
  }
  const Matrix<double> row{{3e-4, 4e-4}};
  CHECK(RowNorm{eps, Divisor::max_of_norm_and_eps}(row)(0, 1) == doctest::Approx(0.4));
  CHECK(RowNorm{eps}(row)(0, 1) == doctest::Approx(0.4 / 1.5));
  CHECK(RowNorm{0, Divisor::max_of_norm_and_eps}(row).norm() == doctest::Approx(1));
}

TEST_CASE_TEMPLATE("an optimizer's steps have the divisor of their rule, in either storage order", Scalar,
                   float, double) {
  const double tolerance = sizeof(Scalar) == 4 ? 1e-6 : 1e-14;
  const RowNorm norm{eps, Divisor::max_of_norm_and_eps};
  const Matrix<double> gradient = rows_about(eps, {9, 6});
  const auto check = [&](const auto& rule, const Matrix<double>& direction) {
    using Rule = std::remove_cvref_t<decltype(rule)>;
    const auto step = [&](auto weights, auto from) {
      Optimizer<Rule, Scalar> optimizer(9, 6, {.learning_rate = 1, .momentum = 0}, rule);
      optimizer.step(weights, from);
      return Matrix<double>(-weights.template cast<double>());
    };
    using Columns = Eigen::Matrix<Scalar, Eigen::Dynamic, Eigen::Dynamic>;
    CHECK(relative_error(step(Matrix<Scalar>(Matrix<Scalar>::Zero(9, 6)),
                              Matrix<Scalar>(gradient.template cast<Scalar>())),
                         direction) <= tolerance);
    CHECK(relative_error(step(Columns(Columns::Zero(9, 6)), Columns(gradient.template cast<Scalar>())),
                         direction) <= tolerance);
  };
  check(Update<Embedding>(norm), rows_over(gradient, eps, norm.divisor));
  const auto centred = [](Matrix<double> block) {
    block.rowwise() -= block.colwise().mean().eval();
    return block;
  };
  check(Update<LmHead>(norm), centred(rows_over(centred(gradient), eps, norm.divisor)));
}

TEST_CASE("the text of options names the divisor where it is not the sum, as files of states do") {
  CHECK(symopt::detail::rule_options_text(Update<LmHead>()) == "RowNorm.eps=1e-08");
  CHECK(symopt::detail::rule_options_text(Update<LmHead>(RowNorm{0.5, Divisor::max_of_norm_and_eps})) ==
        "RowNorm.eps=0.5, RowNorm.max_of_norm_and_eps=1");
  CHECK(symopt::detail::rule_options_text(Update<SwigluOutput>(ColumnNorm{
            0.5, Divisor::max_of_norm_and_eps})) == "ColumnNorm.eps=0.5, ColumnNorm.max_of_norm_and_eps=1");
  CHECK(RowNorm{.divisor = Divisor::max_of_norm_and_eps}.mirrored().divisor == Divisor::max_of_norm_and_eps);
  CHECK(ColumnNorm{.divisor = Divisor::max_of_norm_and_eps}.mirrored().divisor ==
        Divisor::max_of_norm_and_eps);
}

}}  // namespace divisor_test
