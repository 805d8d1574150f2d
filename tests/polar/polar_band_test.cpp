// SPDX-License-Identifier: Apache-2.0
// The bands around 1 in which the headers of polar/ promise the singular values.
#include "support/coupled_inverse_root.hpp"
#include "support/reference.hpp"

#include <symopt/symopt.hpp>

#include <doctest/doctest.h>

namespace polar_band_test { namespace {

using namespace symopt;
using namespace symopt_test;
using namespace symopt::polar;

struct Band {
  double lowest = infinity;
  double highest = -infinity;

  void add(double s) {
    lowest = s < lowest ? s : lowest;
    highest = s > highest ? s : highest;
  }
};

double iterated(const QuinticList& list, int steps, double s) {
  for (int step = 0; step < steps; ++step) s = list[step](s);
  return s;
}

/// The images of a fine logarithmic grid.
Band band_of(const QuinticList& list, int steps, double from, double to = 1) {
  Band band;
  constexpr int points = 100000;
  for (int i = 0; i <= points; ++i)
    band.add(iterated(list, steps, from * std::pow(to / from, static_cast<double>(i) / points)));
  return band;
}

/// The band that a header promises of so many steps of a list: at most a hundredth too wide.
struct Promise {
  std::string name;
  QuinticList list;
  int steps;
  double lowest, highest;
};

const std::vector<Promise> promises{{"jordan", lists::jordan, 5, 0.47, 1.21},
                                    {"polar_express", lists::polar_express, 5, 0.72, 1.13},
                                    {"polar_express", lists::polar_express, 6, 0.94, 1.01},
                                    {"polar_express", lists::polar_express, 8, 1 - 3e-8, 1 + 3e-8},
                                    {"muon", lists::muon, 5, 0.85, 1.15}};

TEST_CASE("every list sends [1e-3, 1] into its band, and nothing above it") {
  for (const Promise& promise : promises) {
    CAPTURE(promise.name);
    CAPTURE(promise.steps);
    const Band band = band_of(promise.list, promise.steps, 1e-3);
    CHECK(band.lowest >= promise.lowest);
    CHECK(band.highest <= promise.highest);
    CHECK(band.lowest <= promise.lowest + 0.015);
    CHECK(band.highest >= promise.highest - 0.015);
    const Band small = band_of(promise.list, promise.steps, 1e-12, 1e-3);
    CHECK(small.lowest > 1e-12);  // pulled towards 1
    CHECK(small.highest <= promise.highest);
  }
}

TEST_CASE("eight steps of Polar Express bring 1e-4 to 0.45") {
  CHECK(iterated(lists::polar_express, 8, 1e-4) == doctest::Approx(0.45).epsilon(0.02));
}

TEST_CASE("the classical lists converge to one from anywhere below the root of three") {
  for (const QuinticList& list : {lists::cubic, lists::quintic}) {
    const Band band = band_of(list, 30, 1e-3, list[0].c == 0 ? 1.7 : 1.2);
    CHECK(band.lowest >= 1 - 1e-12);
    CHECK(band.highest <= 1 + 1e-12);
  }
}

TEST_CASE("past its end a list repeats the last step") {
  CHECK(lists::jordan.size() == 1);
  CHECK(lists::jordan[7] == lists::jordan[0]);
  CHECK(lists::polar_express.size() == 8);
  CHECK(lists::polar_express[8] == lists::polar_express[7]);
  CHECK_FALSE(lists::polar_express[6] == lists::polar_express[7]);
}

/// Singular values at least 1e-3 of the Frobenius norm, or of a third of that rank.
std::vector<Input> blocks_in_band(Shape shape, Random& random) {
  const Index rank = std::min(shape.rows, shape.cols);
  std::vector<Input> inputs = well_conditioned_inputs(shape, random);
  inputs.push_back({"condition 600", block_with_spectrum(shape, log_spaced(rank, 600), random)});
  std::vector<double> edge(static_cast<std::size_t>(rank), 1.01e-3);
  edge[0] = 1;
  inputs.push_back({"all but one at 1e-3", block_with_spectrum(shape, edge, random)});
  inputs.push_back({"equal", block_with_spectrum(shape, log_spaced(rank, 1), random)});
  return inputs;
}

const std::vector<Shape> shapes{{6, 6}, {12, 5}, {5, 12}, {1, 6}, {6, 1}, {1, 1}};

template <class Method, class Scalar>
void check_band(const char* name, const Method& method, double lowest, double highest) {
  CAPTURE(std::string(name));
  CAPTURE(default_seed);
  Random random(default_seed);
  const double slack = 200 * roundoff<Scalar>;
  for (const Shape shape : shapes)
    for (const Input& input : blocks_in_band(shape, random)) {
      INFO(symopt::to_string(shape), ", ", input.name);
      const Matrix<Scalar> block = input.value.cast<Scalar>();
      const Eigen::VectorXd values = singular_values(as_double(Spectral<Method>{method}(block)));
      CHECK(values.minCoeff() >= lowest - slack);
      CHECK(values.maxCoeff() <= highest + slack);
    }
}

TEST_CASE_TEMPLATE("every method brings singular values of at least 1e-3 of the norm into its band", Scalar,
                   float, double) {
  check_band<NewtonSchulz, Scalar>("NewtonSchulz", {}, 0.47, 1.21);
  check_band<PolarExpress, Scalar>("PolarExpress", {}, 1 - 3e-8, 1 + 3e-8);
  check_band<GramNewtonSchulz, Scalar>("GramNewtonSchulz", {}, std::same_as<Scalar, float> ? 0.92 : 0.94,
                                       std::same_as<Scalar, float> ? 1.03 : 1.01);
  const double rounding = std::same_as<Scalar, float> ? 0.025 : 0;
  check_band<Zolotarev, Scalar>("Zolotarev", {}, 0.937 - rounding, 1.063 + rounding);
  check_band<Automatic, Scalar>("Automatic", {}, std::same_as<Scalar, float> ? 0.94 : 0.956,
                                std::same_as<Scalar, float> ? 1.06 : 1.044);
  check_band<Fast, Scalar>("Fast", {}, std::same_as<Scalar, float> ? 0.835 : 0.849,
                           std::same_as<Scalar, float> ? 1.165 : 1.151);
  check_band<PolarExpress, Scalar>("six steps", {.steps = 6}, 0.94, 1.01);
  check_band<PolarExpress, Scalar>("five steps", {.steps = 5}, 0.72, 1.13);
  check_band<NewtonSchulz, Scalar>("thirty classical steps", {.steps = 30, .coefficients = lists::cubic},
                                   1 - 1e-9, 1 + 1e-9);
}

TEST_CASE("Muon's published steps stay in their band above a thousandth of the norm") {
  CAPTURE(default_seed);
  Random random(default_seed);
  const Spectral<PolarExpress> muon{PolarExpress::muon()};
  for (const Shape shape : shapes)
    for (const Input& input : well_conditioned_inputs(shape, random)) {
      const Eigen::VectorXd values = singular_values(muon(input.value));
      CHECK(values.minCoeff() >= 0.85);
      CHECK(values.maxCoeff() <= 1.15);
    }
}

TEST_CASE("five coupled steps reach the band where the square is at least 1e-6 of the Gram's norm") {
  CAPTURE(default_seed);
  Random random(default_seed);
  for (const Shape shape : shapes)
    for (const Input& input : well_conditioned_inputs(shape, random)) {
      INFO(symopt::to_string(shape), ", ", input.name);
      const Eigen::VectorXd express = singular_values(Spectral<CoupledPolarExpress>{}(input.value));
      CHECK(express.minCoeff() >= 0.72);
      CHECK(express.maxCoeff() <= 1.13);
      const Eigen::VectorXd schulz =
          singular_values(Spectral<CoupledNewtonSchulz>{{.steps = 30}}(input.value));
      const Eigen::VectorXd given = singular_values(input.value);
      CHECK(schulz.maxCoeff() <= 1 + 1e-12);
      for (Index i = 0; i < given.size(); ++i)  // damped: s / sqrt(s^2 + eps)
        CHECK(schulz(i) >= given(i) / std::sqrt(given(i) * given(i) + 1e-8) * (1 - 1e-9) - 1e-9);
    }
}

TEST_CASE("five coupled steps reach the band at its very edge") {
  CAPTURE(default_seed);
  Random random(default_seed);
  // Large, so that the absolute eps is nothing; all but one square at 1.05e-6 of the Gram's norm.
  const double edge = 1e4 * std::sqrt(1.05e-6);
  const Matrix<double> block = block_with_spectrum({6, 5}, {1e4, edge, edge, edge, edge}, random);
  const Eigen::VectorXd values = singular_values(Spectral<CoupledPolarExpress>{}(block));
  CHECK(values.minCoeff() >= 0.72);
  CHECK(values.minCoeff() <= 0.8);
  CHECK(values.maxCoeff() <= 1.13);
}

TEST_CASE("the coupled Newton-Schulz iteration tends to s / sqrt(s^2 + eps)") {
  CAPTURE(default_seed);
  Random random(default_seed);
  const Matrix<double> block = block_with_spectrum({6, 5}, {1, 0.5, 0.2, 0.1, 0.05}, random);
  const Matrix<double> expected =
      with_changed_spectrum(block, [](double s) { return s / std::sqrt(s * s + 0.01); });
  CHECK(relative_error(Spectral<CoupledNewtonSchulz>{{.steps = 30, .eps = 0.01}}(block), expected) <= 1e-9);
  CHECK(relative_error(Spectral<CoupledPolarExpress>{{.steps = 16, .eps = 0.01}}(block), expected) <= 1e-6);
}

TEST_CASE_TEMPLATE("no block, however deficient, leaves the band upwards", Scalar, float, double) {
  CAPTURE(default_seed);
  Random random(default_seed);
  const auto check = [](const auto& method, const Matrix<Scalar>& block, double highest) {
    const Matrix<Scalar> result = Spectral<std::remove_cvref_t<decltype(method)>>{method}(block);
    CHECK(result.allFinite());
    CHECK(singular_values(as_double(result))(0) <= highest + 200 * roundoff<Scalar>);
  };
  for (const Shape shape :
       {Shape{32, 32}, Shape{16, 8}, Shape{8, 16}, Shape{1, 6}, Shape{6, 1}, Shape{1, 1}}) {
    std::vector<Input> inputs = all_inputs(shape, random);
    inputs.push_back({"condition 1e6",
                      block_with_spectrum(shape, log_spaced(std::min(shape.rows, shape.cols), 1e6), random)});
    for (const Input& input : inputs) {
      INFO(symopt::to_string(shape), ", ", input.name);
      const Matrix<Scalar> block = input.value.cast<Scalar>();
      check(Exact{}, block, 1 + 1e12 * roundoff<double>);  // the documented error at condition 1e6
      check(NewtonSchulz{}, block, 1.21);
      check(NewtonSchulz{.steps = 15}, block, 1.21);
      check(PolarExpress{}, block, 1 + 3e-8);
      check(PolarExpress{.steps = 5}, block, 1.13);
      check(PolarExpress{.steps = 16}, block, 1 + 3e-8);
      check(PolarExpress::muon(), block, 1.15);
      check(GramNewtonSchulz{}, block, std::same_as<Scalar, float> ? 1.03 : 1.01);
      const double rounding = std::same_as<Scalar, float> ? 0.025 : 0;
      check(Automatic{}, block, std::same_as<Scalar, float> ? 1.06 : 1.044);
      check(Fast{}, block, std::same_as<Scalar, float> ? 1.165 : 1.151);
      for (const double bound : {1e-2, 1e-3, 1e-5, 1e-7})
        check(Zolotarev{.terms = 5, .lower_bound = bound}, block,
              1 + zolotarev_coefficients(5, 0.9 * bound).deviation + rounding);
    }
  }
}

}}  // namespace polar_band_test
