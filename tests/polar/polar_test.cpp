// SPDX-License-Identifier: Apache-2.0
// The polar factor: the exact method against a singular value decomposition, and what the options do.
#include "support/coupled_inverse_root.hpp"
#include "support/reference.hpp"

#include <symopt/symopt.hpp>

#include <doctest/doctest.h>

namespace polar_test { namespace {

using namespace symopt;
using namespace symopt_test;
using polar::Exact;

const std::vector<Shape> shapes{{8, 8}, {12, 5}, {5, 12}, {2, 2}, {1, 7}, {7, 1}, {1, 1}};

/// A block and the condition of what is not zero in it.
struct Conditioned {
  Input input;
  double condition;
};

std::vector<Conditioned> blocks(Shape shape, Random& random) {
  const Index rank = std::min(shape.rows, shape.cols);
  std::vector<Conditioned> all;
  for (const double condition : {1.0, 10.0, 1e2, 1e3, 1e4, 1e5})
    all.push_back({{"condition " + std::to_string(condition),
                    block_with_spectrum(shape, log_spaced(rank, condition), random)},
                   condition});
  for (Input& input : all_inputs(shape, random)) {
    const Eigen::VectorXd values = singular_values(input.value);
    const double kept = (values.array() > 1e-6 * values(0)).select(values, values(0)).minCoeff();
    const double condition = values(0) == 0 ? 1 : values(0) / kept;
    all.push_back({std::move(input), condition});
  }
  return all;
}

/// The cut-off that Exact documents for a block that it is given through a k x k Gram matrix.
double documented_cutoff(Shape shape, Index k, double unit) {
  return std::max(static_cast<double>(std::max(shape.rows, shape.cols)) * unit,
                  std::sqrt(static_cast<double>(k)) * 1.5e-8);
}

TEST_CASE_TEMPLATE("the exact polar factor is the partial isometry of a singular value decomposition", Scalar,
                   float, double) {
  CAPTURE(default_seed);
  Random random(default_seed);
  const double unit = roundoff<Scalar>;
  for (const Shape shape : shapes)
    for (const Conditioned& block : blocks(shape, random)) {
      INFO(symopt::to_string(shape), ", ", block.input.name);
      const Matrix<Scalar> given = block.input.value.cast<Scalar>();
      const double bound = 2 * unit + (16 + block.condition * block.condition) * roundoff<double>;
      const auto check = [&](const Matrix<Scalar>& actual, Index gram_size) {
        const double cutoff = documented_cutoff(shape, gram_size, unit);
        CHECK(relative_error(as_double(actual), polar_by_svd(as_double(given), cutoff)) <= bound);
      };
      check(Spectral<Exact>{}(given), std::min(shape.rows, shape.cols));
      check(LeftSpectral<Exact>{}(given), shape.rows);
      check(RightSpectral<Exact>{}(given), shape.cols);
    }
}

TEST_CASE("the exact polar factor is as good as documented at condition 1e6, and a cut-off can be named") {
  CAPTURE(default_seed);
  Random random(default_seed);
  for (const Shape shape : {Shape{7, 7}, Shape{12, 7}, Shape{7, 12}}) {
    const Matrix<double> block = block_with_spectrum(shape, log_spaced(7, 1e6), random);
    CHECK(relative_error(Spectral<Exact>{}(block), polar_by_svd(block)) <= 1e12 * roundoff<double>);
    // In float the smallest value is below the noise of the entries: cut by default, kept on demand.
    const Matrix<float> given = block.cast<float>();
    const Matrix<float> all = Spectral<Exact>{{.cutoff = 1e-7}}(given);
    CHECK(relative_error(as_double(all), polar_by_svd(as_double(given), 1e-7)) <= 1e-3);
    // Two of the seven values 1, 0.1, ... lie at or below 3e-5.
    const Matrix<double> two_cut = Spectral<Exact>{{.cutoff = 3e-5}}(block);
    CHECK(relative_error(two_cut, polar_by_svd(block, 3e-5)) <= 1e-5);
    CHECK(singular_values(two_cut).sum() == doctest::Approx(5).epsilon(1e-9));
  }
}

TEST_CASE_TEMPLATE("singular values of the exact polar factor are one or zero", Scalar, float, double) {
  CAPTURE(default_seed);
  Random random(default_seed);
  for (const Shape shape : shapes)
    for (const Input& input : all_inputs(shape, random)) {
      INFO(symopt::to_string(shape), ", ", input.name);
      const Matrix<Scalar> given = input.value.cast<Scalar>();
      const Eigen::VectorXd values = singular_values(as_double(Spectral<Exact>{}(given)));
      const double tolerance = 1e-6 * (std::same_as<Scalar, float> ? 1 : 1e-4);
      CHECK((values.array().abs().min((values.array() - 1).abs()) <= tolerance).all());
    }
}

TEST_CASE("every option of a polar method changes the result") {
  CAPTURE(default_seed);
  Random random(default_seed);
  const Matrix<double> block = block_with_spectrum({8, 6}, log_spaced(6, 1e3), random);
  const auto differ = [&](const auto& a, const auto& b) {
    using Method = std::remove_cvref_t<decltype(a)>;
    return relative_error(Spectral<Method>{a}(block), Spectral<Method>{b}(block));
  };
  using namespace polar;
  CHECK(differ(Exact{}, Exact{.cutoff = 0.1}) > 1e-2);
  CHECK(differ(NewtonSchulz{}, NewtonSchulz{.steps = 6}) > 1e-3);
  CHECK(differ(NewtonSchulz{}, NewtonSchulz{.coefficients = lists::cubic}) > 1e-3);
  CHECK(differ(NewtonSchulz{}, NewtonSchulz{.safety = 1.5}) > 1e-3);
  CHECK(differ(NewtonSchulz{}, NewtonSchulz{.eps = 0.1}) > 1e-3);
  CHECK(differ(PolarExpress{}, PolarExpress{.steps = 5}) > 1e-3);
  CHECK(differ(PolarExpress{}, PolarExpress{.coefficients = lists::jordan}) > 1e-3);
  CHECK(differ(PolarExpress{.steps = 5}, PolarExpress{.steps = 5, .safety = 1.5}) > 1e-3);
  CHECK(differ(PolarExpress{.steps = 5}, PolarExpress{.steps = 5, .eps = 0.5}) > 1e-3);
  CHECK(differ(Zolotarev{}, Zolotarev{.terms = 2}) > 1e-3);
  CHECK(differ(Zolotarev{}, Zolotarev{.lower_bound = 1e-2}) > 1e-3);
  CHECK(differ(GramNewtonSchulz{}, GramNewtonSchulz{.steps = 5}) > 1e-3);
  CHECK(differ(GramNewtonSchulz{}, GramNewtonSchulz{.coefficients = lists::jordan}) > 1e-3);
  CHECK(differ(GramNewtonSchulz{}, GramNewtonSchulz{.safety = 1.5}) > 1e-3);
  CHECK(differ(GramNewtonSchulz{}, GramNewtonSchulz{.eps = 0.5}) > 1e-3);
  CHECK(differ(GramNewtonSchulz{.restart_after = 0}, GramNewtonSchulz{.restart_after = 2}) > 0);
  CHECK(differ(CoupledNewtonSchulz{}, CoupledNewtonSchulz{.steps = 6}) > 1e-3);
  CHECK(differ(CoupledNewtonSchulz{}, CoupledNewtonSchulz{.eps = 0.1}) > 1e-3);
  CHECK(differ(CoupledPolarExpress{}, CoupledPolarExpress{.steps = 6}) > 1e-3);
  CHECK(differ(CoupledPolarExpress{}, CoupledPolarExpress{.eps = 0.1}) > 1e-3);
  CHECK(differ(CoupledPolarExpress{}, CoupledPolarExpress{.coefficients = lists::quintic}) > 1e-3);
}

TEST_CASE("the smaller Gram matrix is formed") {
  CHECK(symopt::detail::smaller_gram({3, 4}) == Side::left);
  CHECK(symopt::detail::smaller_gram({4, 3}) == Side::right);
  CHECK(symopt::detail::smaller_gram({4, 4}) == Side::left);
}

TEST_CASE("each head has its own polar factor") {
  CAPTURE(default_seed);
  Random random(default_seed);
  const Matrix<double> block = gaussian_block({6, 8}, random);
  const Matrix<double> rows = HeadSpectral<Side::left, 3, Exact>{}(block);
  for (Index i = 0; i < 6; i += 3)
    CHECK(relative_error(rows.middleRows(i, 3), polar_by_svd(block.middleRows(i, 3))) <= 1e-12);
  const Matrix<double> columns = HeadSpectral<Side::right, 4, Exact>{}(block);
  for (Index j = 0; j < 8; j += 4)
    CHECK(relative_error(columns.middleCols(j, 4), polar_by_svd(block.middleCols(j, 4))) <= 1e-12);
  CHECK(relative_error(rows, polar_by_svd(block)) > 1e-2);
}

TEST_CASE("each head has its own norm, in either storage order") {
  Random random(default_seed);
  const Matrix<double> block = gaussian_block({6, 8}, random);
  const PerHead<Side::left, 3, ColumnNorm> norm{{.eps = 0}};
  const Matrix<double> columns = norm(block), transposed = norm.mirrored()(block.transpose());
  const Matrix<double> frobenius = PerHead<Side::right, 4, FrobeniusNorm>{}(block);
  for (Index i = 0; i < 6; i += 3)
    for (Index j = 0; j < 8; ++j) {
      const auto part = block.block(i, j, 3, 1);
      CHECK((columns.block(i, j, 3, 1) - part / part.norm()).norm() <= 1e-14);
    }
  for (Index j = 0; j < 8; j += 4) {
    const auto head = block.middleCols(j, 4);
    CHECK((frobenius.middleCols(j, 4) - head / head.norm()).norm() <= 1e-14);
  }
  CHECK((transposed.transpose() - columns).norm() <= 1e-14);
}

}}  // namespace polar_test
