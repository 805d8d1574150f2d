// SPDX-License-Identifier: Apache-2.0
// Zolotarev's rational map: its coefficients, its band for every number of terms, and what it does with
// blocks that the precision of the Gram matrix cannot resolve.
#include "support/reference.hpp"

#include <symopt/symopt.hpp>

#include <doctest/doctest.h>

namespace zolotarev_test { namespace {

using namespace symopt;
using namespace symopt_test;
using polar::Zolotarev;
using polar::zolotarev_coefficients;

TEST_CASE("the coefficients of three terms for a thousandth") {
  const auto three = zolotarev_coefficients(3, 1e-3);
  CHECK(three.terms == 3);
  CHECK(three.shift[0] == doctest::Approx(2.197002e-6).epsilon(1e-6));
  CHECK(three.shift[1] == doctest::Approx(3.053346e-4).epsilon(1e-6));
  CHECK(three.shift[2] == doctest::Approx(3.559275e-2).epsilon(1e-6));
  CHECK(three.constant == doctest::Approx(0.7535808).epsilon(1e-6));
}

TEST_CASE("the map alternates between the ends of its band, and rises to it from zero") {
  for (const double l : {0.5, 0.1, 1e-3, 1e-5, 1e-8})
    for (int r = 1; r <= polar::ZolotarevCoefficients::most_terms; ++r) {
      CAPTURE(l);
      CAPTURE(r);
      const auto map = zolotarev_coefficients(r, l);
      const double slack = 1e-15 / l;  // the smallest shift is a small difference from the quarter period
      double lowest = infinity, highest = -infinity, before = 0;
      int extremes = 2;  // the ends
      double rising = 1;
      constexpr int points = 40000;
      for (int i = 0; i <= points; ++i) {
        const double value = map(l * std::pow(1 / l, static_cast<double>(i) / points));
        lowest = std::min(lowest, value);
        highest = std::max(highest, value);
        if (i > 0 && (value - before) * rising < -1e-13) {
          ++extremes;
          rising = -rising;
        }
        before = value;
      }
      CHECK(lowest >= 1 - map.deviation - slack);
      CHECK(highest <= 1 + map.deviation + slack);
      CHECK(lowest <= 1 - map.deviation + 1e-6);
      CHECK(highest >= 1 + map.deviation - 1e-6);
      if (map.deviation > 1e-6) CHECK(extremes == 2 * r + 2);
      double last = 0;
      for (int i = 1; i <= 1000; ++i) {
        const double value = map(l * i / 1000.0);
        CHECK(value >= last - 1e-12);
        last = value;
      }
    }
}

TEST_CASE("deviations as documented") {
  const auto deviation = [](int r) { return zolotarev_coefficients(r, 1e-3).deviation; };
  CHECK(deviation(2) == doctest::Approx(0.202).epsilon(0.01));
  CHECK(deviation(3) == doctest::Approx(0.062).epsilon(0.01));
  CHECK(deviation(4) == doctest::Approx(0.019).epsilon(0.01));
  CHECK(deviation(6) == doctest::Approx(0.0017).epsilon(0.04));
}

TEST_CASE("in double every singular value goes where the formula sends it, to rounding") {
  CAPTURE(default_seed);
  Random random(default_seed);
  for (const Shape shape : {Shape{6, 9}, Shape{40, 40}, Shape{130, 97}, Shape{1, 5}})
    for (const int terms : {1, 2, 3, 5, 8})
      for (const double bound : {1e-2, 1e-3, 1e-4}) {
        CAPTURE(symopt::to_string(shape));
        CAPTURE(terms);
        CAPTURE(bound);
        const Index rank = std::min(shape.rows, shape.cols);
        const Matrix<double> block = block_with_spectrum(shape, log_spaced(rank, 1e5), random);
        const auto map = zolotarev_coefficients(terms, bound);
        const double norm = block.norm();
        const Matrix<double> expected = with_changed_spectrum(block, [&](double s) { return map(s / norm); });
        // A singular value of the Gram matrix is known to its rounding, against the smallest shift.
        const double tolerance = 100 * roundoff<double> / map.shift[0];
        CHECK(error_on_scale(Spectral<Zolotarev>{{terms, bound}}(block), expected, 1) <= tolerance);
      }
}

TEST_CASE_TEMPLATE("what the precision cannot resolve stays in the band, and in the space of the block",
                   Scalar, float, double) {
  CAPTURE(default_seed);
  Random random(default_seed);
  for (const Shape shape : {Shape{60, 60}, Shape{130, 40}, Shape{40, 130}})
    for (const double bound :
         {1e-3, 1e-5, 1e-7, 1e-8})  // in float the last shifts lie far below the rounding
      for (const Index rank : {Index(1), Index(7), Index(39)}) {
        CAPTURE(symopt::to_string(shape));
        CAPTURE(bound);
        CAPTURE(rank);
        const Zolotarev method{.terms = 6, .lower_bound = bound};
        const Matrix<Scalar> block = block_with_spectrum(shape, log_spaced(rank, 50), random).cast<Scalar>();
        const Matrix<double> result = as_double(Spectral<Zolotarev>{method}(block));
        const Eigen::VectorXd values = singular_values(result);
        const double highest = 1 + zolotarev_coefficients(6, 0.9 * bound).deviation;
        CHECK(values(0) <= highest + 0.02);
        CHECK(values(rank - 1) >= 1 - zolotarev_coefficients(6, 0.9 * bound).deviation - 0.02);
        const Matrix<double> isometry = polar_by_svd(as_double(block), 1e-4);
        // The rest is the rounding of the block itself, raised at most by the slope at zero.
        const double slope = std::min(3.0 / bound, 3e3 / std::sqrt(roundoff<Scalar>));
        CHECK((result - isometry * isometry.transpose() * result).norm() <= 1e2 * roundoff<Scalar> * slope);
      }
}

TEST_CASE("zero stays zero and what is not finite becomes NaN") {
  CHECK(Spectral<Zolotarev>{}(Matrix<float>::Zero(5, 7)) == Matrix<float>::Zero(5, 7));
  Matrix<float> block = Matrix<float>::Ones(5, 7);
  block(2, 3) = std::numeric_limits<float>::infinity();
  CHECK(Spectral<Zolotarev>{}(block).array().isNaN().all());
  CHECK(Spectral<Zolotarev>{}(Matrix<double>(0, 4)).size() == 0);
}

TEST_CASE("a map made for a shorter interval keeps its band there") {
  CAPTURE(default_seed);
  Random random(default_seed);
  for (const double low : {2e-3, 2e-2}) {
    std::vector<double> values = log_spaced(40, 1);
    for (std::size_t i = 0; i < 8; ++i) values[i] = low * 5;
    const Matrix<double> block = block_with_spectrum({40, 60}, values, random);
    const Eigen::VectorXd result = singular_values(Spectral<Zolotarev>{{.upper_bound = 0.5}}(block));
    CHECK(result.minCoeff() >= 1 - 0.043);
    CHECK(result.maxCoeff() <= 1 + 0.043);
  }
  CHECK_THROWS_WITH(Zolotarev{.upper_bound = 1e-3}.validate(), doctest::Contains("upper_bound"));
}

}}  // namespace zolotarev_test
