// SPDX-License-Identifier: Apache-2.0
// The polar factor: the exact method against a singular value decomposition, the sides of the Gram matrix.
#include "support/reference.hpp"

#include <symopt/symopt.hpp>

#include <doctest/doctest.h>

#include <initializer_list>

namespace {

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

TEST_CASE_TEMPLATE("the exact polar factor is the partial isometry of a singular value decomposition", Scalar, float,
                   double) {
  CAPTURE(default_seed);
  Random random(default_seed);
  const double unit = roundoff<Scalar>;
  for (const Shape shape : shapes)
    for (const Conditioned& block : blocks(shape, random)) {
      INFO(symopt::to_string(shape), ", ", block.input.name);
      const Matrix<Scalar> given = block.input.value.cast<Scalar>();
      const double bound = 2 * unit + block.condition * block.condition * roundoff<double>;
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

/// The largest difference of the three ways to the same polar factor.
template <class Method, class Scalar>
double side_difference(const Method& method, const Matrix<Scalar>& block) {
  const Matrix<double> left = as_double(LeftSpectral<Method>{method}(block));
  const Matrix<double> right = as_double(RightSpectral<Method>{method}(block));
  const Matrix<double> smaller = as_double(Spectral<Method>{method}(block));
  return std::max(relative_error(left, right), relative_error(left, smaller));
}

TEST_CASE_TEMPLATE("left and right Gram matrices give the same map", Scalar, float, double) {
  CAPTURE(default_seed);
  Random random(default_seed);
  for (const Shape shape : shapes)
    for (const Input& input : all_inputs(shape, random)) {
      INFO(symopt::to_string(shape), ", ", input.name);
      const Matrix<Scalar> block = input.value.cast<Scalar>();
      CHECK(side_difference(Exact{}, block) <= 1e3 * roundoff<Scalar>);
      // The slope of the polynomials at zero, about 5000, multiplies what rounding puts into the null space.
      CHECK(side_difference(polar::PolarExpress{}, block) <= 1e4 * roundoff<Scalar>);
      CHECK(side_difference(polar::PolarExpress{.steps = 5}, block) <= 1e4 * roundoff<Scalar>);
      CHECK(side_difference(polar::NewtonSchulz{}, block) <= 1e4 * roundoff<Scalar>);
    }
}

TEST_CASE("left and right coupled iterations agree on well-conditioned blocks in double") {
  CAPTURE(default_seed);
  Random random(default_seed);
  for (const Input& input : well_conditioned_inputs({6, 6}, random)) {
    CAPTURE(input.name);
    CHECK(side_difference(polar::CoupledNewtonSchulz{.steps = 8}, input.value) <= 1e-9);
    CHECK(side_difference(polar::CoupledPolarExpress{.steps = 8}, input.value) <= 1e-9);
  }
}

TEST_CASE_TEMPLATE("the result lies in the row and column spaces of the block", Method, Exact, polar::NewtonSchulz,
                   polar::PolarExpress) {
  CAPTURE(default_seed);
  Random random(default_seed);
  for (const Shape shape : {Shape{8, 8}, Shape{12, 5}, Shape{5, 12}}) {
    const Matrix<double> block = block_with_spectrum(shape, {3, 2, 1}, random);
    const Matrix<double> isometry = polar_by_svd(block);
    const Matrix<double> result = Spectral<Method>{}(block);
    CHECK(relative_error(isometry * isometry.transpose() * result, result) <= 1e-11);
    CHECK(relative_error(result * isometry.transpose() * isometry, result) <= 1e-11);
    CHECK(singular_values(result)(2) > 0.4);
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
  CHECK(differ(CoupledNewtonSchulz{}, CoupledNewtonSchulz{.steps = 6}) > 1e-3);
  CHECK(differ(CoupledNewtonSchulz{}, CoupledNewtonSchulz{.eps = 0.1}) > 1e-3);
  CHECK(differ(CoupledPolarExpress{}, CoupledPolarExpress{.steps = 6}) > 1e-3);
  CHECK(differ(CoupledPolarExpress{}, CoupledPolarExpress{.eps = 0.1}) > 1e-3);
  CHECK(differ(CoupledPolarExpress{}, CoupledPolarExpress{.coefficients = lists::quintic}) > 1e-3);
}

TEST_CASE("the smaller Gram matrix is formed") {
  CHECK(smaller_gram({3, 4}) == Side::left);
  CHECK(smaller_gram({4, 3}) == Side::right);
  CHECK(smaller_gram({4, 4}) == Side::left);
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

}  // namespace
