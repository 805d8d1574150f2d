// SPDX-License-Identifier: Apache-2.0
// The best rational maps: their tables, the interpolation between entries, and the bands of the methods that
// take them, Automatic and Fast, on blocks from gradients to the worst spectra that were found.
#include "support/best_map.hpp"
#include "support/reference.hpp"

#include <symopt/symopt.hpp>

#include <doctest/doctest.h>

namespace minimax_test { namespace {

using namespace symopt;
using namespace symopt_test;
using namespace symopt::polar;

/// The numbers of a map in the order of the table.
std::vector<double> numbers(const RationalMap& map) {
  std::vector<double> all{map.constant, map.linear};
  const auto terms = static_cast<std::ptrdiff_t>(map.terms);
  all.insert(all.end(), map.shift.begin(), map.shift.begin() + terms);
  all.insert(all.end(), map.weight.begin(), map.weight.begin() + terms);
  return all;
}

/// Half a unit in the last digit of a number of the table, and a little for the rounding of what it is
/// compared with.
double half_digit(double number) {
  return 0.501 * std::pow(10, std::floor(std::log10(std::abs(number))) - (minimax_digits - 1));
}

template <class Scalar, int terms>
void check_table() {
  CAPTURE(terms);
  BestMap best(terms, minimax_lower_bound(minimax_entries - 1), minimax_rounding<Scalar>);
  for (int i = minimax_entries - 1; i >= 0; --i) {
    CAPTURE(i);
    best.move_to(minimax_lower_bound(i));
    const RationalMap& entry = minimax_table<Scalar, terms>[static_cast<std::size_t>(i)];
    REQUIRE(entry.terms == terms);
    const std::vector<double> expected = numbers(best.map()), given = numbers(entry);
    for (std::size_t n = 0; n < expected.size(); ++n)
      CHECK(std::abs(given[n] - expected[n]) <= half_digit(expected[n]));
  }
}

TEST_CASE("the tables are those of the best maps, in every digit") {
  check_table<double, 2>();
  check_table<double, 3>();
  check_table<float, 2>();
  check_table<float, 3>();
}

TEST_CASE("a best map attains its distance from 1 in turns, so that no other map is nearer") {
  for (const double rounding : {0.0, 4e-8})
    for (const int terms : {2, 3}) {
      const BestMap best(terms, 1e-3, rounding);
      double sign = -1;
      CHECK(best.extremes().size() == static_cast<std::size_t>(2 * terms + 3));
      for (const double s : best.extremes()) {
        CHECK(sign * (best.map()(s) - 1) + rounding / (s * s) == doctest::Approx(best.deviation()));
        sign = -sign;
      }
    }
  // The linear part is what Zolotarev's map lacks.
  CHECK(BestMap(3, 1e-3).deviation() < 0.7 * zolotarev_coefficients(3, 1e-3).deviation);
}

/// The largest distance from 1 on [lower, 1], with the part of rounding.
template <class Scalar>
double deviation(const RationalMap& map, double lower) {
  double largest = 0;
  for (const double s : extremes_of(map, lower))
    largest = std::max(largest, std::abs(map(s) - 1) + minimax_rounding<Scalar> / (s * s));
  return largest;
}

TEST_CASE("between the entries a map loses little, and the deviations are as documented") {
  const auto check = [&]<class Scalar, int terms>(double excess) {
    for (double lower = 1e-3; lower < 1.3e-2; lower *= 1.1) {
      CAPTURE(lower);
      const double best = BestMap(terms, lower, minimax_rounding<Scalar>).deviation();
      CHECK(deviation<Scalar>(minimax_map<Scalar, terms>(lower), lower) <= best + excess);
    }
  };
  check.operator()<double, 2>(3e-4);
  check.operator()<double, 3>(1e-4);
  check.operator()<float, 2>(3e-4);
  check.operator()<float, 3>(3e-4);

  const auto is_about = [](double given, double percent) {
    CHECK(100 * given == doctest::Approx(percent).epsilon(0.006 / percent));
  };
  const std::vector<std::vector<double>> documented{
      // effective rank; three and two terms; those in float
      {1, 4.31, 14.96, 5.01, 15.55}, {4, 3.51, 12.87, 3.82, 13.17}, {16, 2.80, 10.91, 2.95, 11.06},
      {64, 2.19, 9.10, 2.27, 9.18},  {256, 1.67, 7.44, 1.71, 7.48}, {1024, 1.24, 5.96, 1.26, 5.98}};
  for (const auto& row : documented) {
    const double lower = 1e-3 * std::pow(row[0], 0.25);
    CAPTURE(row[0]);
    is_about(deviation<double>(minimax_map<double, 3>(lower), lower), row[1]);
    is_about(deviation<double>(minimax_map<double, 2>(lower), lower), row[2]);
    is_about(deviation<float>(minimax_map<float, 3>(lower), lower), row[3]);
    is_about(deviation<float>(minimax_map<float, 2>(lower), lower), row[4]);
  }
}

TEST_CASE("a map is continuous in its interval, and rises from zero to it") {
  const auto check = [&](double steepest, auto map_for) {
    for (double lower = 1e-3; lower < 1.3e-2; lower *= 1.003) {
      CAPTURE(lower);
      const RationalMap map = map_for(lower), next = map_for(lower * (1 + 1e-9));
      CHECK(map(1e-9) / 1e-9 * lower / 1e-3 <= steepest);
      double last = 0;
      for (double s = 1e-6; s < 1; s *= 2) CHECK(std::abs(next(s) - map(s)) <= 1e-8);
      for (int i = 1; i <= 20; ++i) {
        const double value = map(lower * i / 20.0);
        CHECK(value >= last);
        last = value;
      }
    }
  };
  check(1560, [](double lower) { return minimax_map<double, 2>(lower); });
  check(2140, [](double lower) { return minimax_map<double, 3>(lower); });
  check(1560, [](double lower) { return minimax_map<float, 2>(lower); });
  check(2140, [](double lower) { return minimax_map<float, 3>(lower); });
}

/// The map that a block gets in exact arithmetic, at a singular value.
template <class Scalar, int terms>
std::function<double(double)> map_of(const Matrix<double>& block) {
  const Eigen::VectorXd s = singular_values(block);
  const double bound = std::sqrt(s.array().pow(4).sum()) * (1 + 1e-4);
  const RationalMap map = minimax_map<Scalar, terms>(1e-3 * block.norm() / std::sqrt(bound));
  return [=](double value) { return map(value / std::sqrt(bound)); };
}

/// Blocks of rank k as in a model, and such as few or no gradients are.
std::vector<Input> blocks(Shape shape, Random& random) {
  const Index rank = std::min(shape.rows, shape.cols);
  std::vector<Input> inputs = all_inputs(shape, random);
  const auto add = [&](const std::string& name, const std::vector<double>& spectrum) {
    inputs.push_back({name, block_with_spectrum(shape, spectrum, random)});
  };
  for (const double condition : {1.0, 30.0, 600.0, 1e3, 1e6, 1e12})
    add("condition " + std::to_string(condition), log_spaced(rank, condition));
  std::vector<double> harmonic(static_cast<std::size_t>(rank));
  for (std::size_t i = 0; i < harmonic.size(); ++i) harmonic[i] = 1 / static_cast<double>(i + 1);
  add("1/i", harmonic);
  // Few singular values hold the norm, the others lie where rounding is worst.
  for (const double share : {1.01e-3, 1.2e-3, 1.5e-3, 2e-3, 3e-3, 1e-2})
    for (const Index large : {1, 2, 4, 16}) {
      if (large >= rank) continue;
      std::vector<double> values(static_cast<std::size_t>(rank), share);
      const double rest = 1 - share * share * static_cast<double>(rank - large);
      for (Index i = 0; i < large; ++i)
        values[static_cast<std::size_t>(i)] = std::sqrt(rest / static_cast<double>(large));
      add(std::to_string(large) + " large, others " + std::to_string(share), values);
    }
  return inputs;
}

TEST_CASE("in double every singular value goes where the map sends it, to rounding") {
  CAPTURE(default_seed);
  Random random(default_seed);
  for (const Shape shape : {Shape{6, 9}, Shape{40, 30}})
    for (const double condition : {1.0, 1e2, 1e5}) {
      CAPTURE(symopt::to_string(shape));
      CAPTURE(condition);
      const Index rank = std::min(shape.rows, shape.cols);
      const Matrix<double> block = block_with_spectrum(shape, log_spaced(rank, condition), random);
      const auto error = [&](const auto& map, const Matrix<double>& result) {
        return error_on_scale(result, with_changed_spectrum(block, map), 1);
      };
      const double tolerance = 300 * roundoff<double> / 1.7e-6;  // over the smallest shift
      CHECK(error(map_of<double, 3>(block), Spectral<>{}(block)) <= tolerance);
      CHECK(error(map_of<double, 2>(block), Spectral<Fast>{}(block)) <= tolerance);
    }
}

template <class Method, class Scalar>
void check_band(double band) {
  CAPTURE(default_seed);
  Random random(default_seed);
  for (const Shape shape : {Shape{6, 9}, Shape{32, 32}, Shape{50, 20}, Shape{1, 6}})
    for (const Input& input : blocks(shape, random)) {
      INFO(symopt::to_string(shape), ", ", input.name);
      const Matrix<Scalar> block = input.value.cast<Scalar>();
      const Matrix<double> result = as_double(Spectral<Method>{}(block));
      REQUIRE(result.allFinite());
      const Eigen::VectorXd values = singular_values(result), given = singular_values(as_double(block));
      CHECK(values(0) <= 1 + band);
      const auto large = given(0) > 0 ? (given.array() >= 1e-3 * given.norm()).count() : 0;
      if (large > 0) CHECK(values(large - 1) >= 1 - band);
    }
}

TEST_CASE("the default stays within 4.4 % in double and 6 % in float, and nothing leaves it upwards") {
  check_band<Automatic, double>(0.044);
  check_band<Automatic, float>(0.06);
}

TEST_CASE("Fast stays within 15.1 % in double and 16.5 % in float") {
  check_band<Fast, double>(0.151);
  check_band<Fast, float>(0.165);
}

TEST_CASE("blocks like gradients are within 2 % in float, and by Fast within 9 %") {
  CAPTURE(default_seed);
  Random random(default_seed);
  const Matrix<float> block = gaussian_block({256, 300}, random).cast<float>();
  const auto check = [](const Matrix<float>& result, double band) {
    const Eigen::VectorXd values = singular_values(as_double(result));
    CHECK(values.minCoeff() >= 1 - band);
    CHECK(values.maxCoeff() <= 1 + band);
  };
  check(Spectral<>{}(block), 0.02);
  check(Spectral<Fast>{}(block), 0.09);
}

TEST_CASE("no small change of a block makes a step in its polar factor") {
  CAPTURE(default_seed);
  // One singular value grows until it holds all of the norm: the effective rank falls from 18 to 1.
  Matrix<double> last;
  double largest = 0;
  for (double large = 1; large < 100; large *= 1.005) {
    Random random(default_seed);  // the same singular vectors
    std::vector<double> values(18, 1);
    values[0] = large;
    const Matrix<double> result = Spectral<>{}(block_with_spectrum({18, 18}, values, random));
    if (last.size() > 0) largest = std::max(largest, (result - last).norm());
    last = result;
  }
  // 17 singular values move by half a percent; where the number of terms changed, the norm was 0.2 once.
  CHECK(largest > 1e-4);
  CHECK(largest <= 0.004);
}

TEST_CASE("zero stays zero and what is not finite becomes NaN") {
  CHECK(Spectral<>{}(Matrix<float>::Zero(5, 7)) == Matrix<float>::Zero(5, 7));
  CHECK(Spectral<Fast>{}(Matrix<float>::Zero(5, 7)) == Matrix<float>::Zero(5, 7));
  Matrix<float> block = Matrix<float>::Ones(5, 7);
  block(2, 3) = std::numeric_limits<float>::infinity();
  CHECK(Spectral<>{}(block).array().isNaN().all());
  CHECK(Spectral<>{}(Matrix<double>(0, 4)).size() == 0);
}

TEST_CASE("a shape gets its method, which says its name") {
  CHECK(Automatic::choice({768, 768}, Side::left) == MinimaxChoice{3});
  CHECK(Automatic::choice({16, 2048}, Side::left) == MinimaxChoice{3});
  CHECK(Automatic::choice({1, 768}, Side::left) == MinimaxChoice{0});
  CHECK(Fast::choice({50304, 768}, Side::right) == MinimaxChoice{2});
  CHECK(to_string(Automatic::choice({16, 2048}, Side::left)) == "minimax, 3 terms");
  CHECK(to_string(Fast::choice({16, 2048}, Side::left)) == "minimax, 2 terms");
  CHECK(to_string(Automatic::choice({1, 768}, Side::left)) == "norm of the line");

  CAPTURE(default_seed);
  Random random(default_seed);
  const Matrix<float> line = gaussian_block({1, 40}, random).cast<float>();
  CHECK(relative_error(as_double(Spectral<>{}(line)), as_double(line) / as_double(line).norm()) <= 1e-6);
}

TEST_CASE("the norm of the Gram matrix bounds the singular values, and tells the rank of equal ones") {
  CAPTURE(default_seed);
  Random random(default_seed);
  for (const double condition : {1.0, 5.0, 600.0}) {
    const Matrix<double> block = block_with_spectrum({20, 30}, log_spaced(20, condition), random);
    Matrix<double> gram = block * block.transpose();
    kernel::Buffer<double> scratch(20);
    const GramNorms norms = polar::detail::norms_of<double>(MatrixRef<double>(gram), scratch);
    const Eigen::VectorXd values = singular_values(block);
    CHECK(norms.trace == doctest::Approx(block.squaredNorm()).epsilon(1e-12));
    CHECK(norms.norm == doctest::Approx(std::sqrt(values.array().pow(4).sum())).epsilon(1e-12));
    CHECK(values(0) <= std::sqrt(norms.norm) * (1 + 1e-12));
    if (condition == 1) CHECK(norms.effective_rank() == doctest::Approx(20).epsilon(1e-12));
  }
}

}}  // namespace minimax_test
