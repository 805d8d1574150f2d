// SPDX-License-Identifier: Apache-2.0
// The polar factor through the Gram matrix of either side.
#include "support/coupled_inverse_root.hpp"
#include "support/reference.hpp"

#include <symopt/symopt.hpp>

#include <doctest/doctest.h>

namespace polar_sides_test { namespace {

using namespace symopt;
using namespace symopt_test;
using polar::Exact;

const std::vector<Shape> shapes{{8, 8}, {12, 5}, {5, 12}, {2, 2}, {1, 7}, {7, 1}, {1, 1}};

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
      // The smallest shift, 2e-6 of the squared norm, divides what rounding puts into the Gram matrix.
      CHECK(side_difference(polar::Zolotarev{}, block) <= 4e4 * roundoff<Scalar>);
      CHECK(side_difference(polar::Automatic{}, block) <= 4e4 * roundoff<Scalar>);
      CHECK(side_difference(polar::Fast{}, block) <= 4e4 * roundoff<Scalar>);
      // Without the restart that float gets, the polynomial of a Gram matrix multiplies by about the square
      // of that slope.
      const double slope = std::same_as<Scalar, double> ? 1e6 : 1e4;
      CHECK(side_difference(polar::GramNewtonSchulz{}, block) <= slope * roundoff<Scalar>);
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

TEST_CASE_TEMPLATE("the result lies in the row and column spaces of the block", Method, Exact,
                   polar::NewtonSchulz, polar::PolarExpress, polar::GramNewtonSchulz, polar::Zolotarev,
                   polar::Automatic, polar::Fast) {
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

}}  // namespace polar_sides_test
