// SPDX-License-Identifier: Apache-2.0
// Every shipped group, normalization, polar method and rule models its concept. Said here and not in their
// headers, since asking compiles matrices, workspaces, the members of all elements and an eigensolver in
// every translation unit that includes symopt, whatever it uses.
#include "support/coupled_inverse_root.hpp"

#include <symopt/symopt.hpp>

#include <doctest/doctest.h>

#include <random>

namespace models_test { namespace {

using namespace symopt;

template <class... Groups>
constexpr bool all_model_symmetry_group = (... && SymmetryGroup<Groups>);

static_assert(
    all_model_symmetry_group<Trivial, LeftOrthogonal, RightOrthogonal, RowPermutation, ColumnPermutation,
                             SignedRowPermutation, SignedColumnPermutation, SharedShift, ColumnShift,
                             HeadRotations<Side::left, 2>, HeadRotations<Side::right, 4>>);
static_assert(
    all_model_symmetry_group<Product<>, BiOrthogonal, Product<RowPermutation, RightOrthogonal, SharedShift>>);
static_assert(all_model_symmetry_group<HiddenMatrix, Embedding, TiedEmbedding, LmHead, SwigluInput,
                                       SwigluOutput, Router>);

template <class... Maps>
constexpr bool all_model_normalization = (... && Normalization<Maps>);

static_assert(all_model_normalization<Identity, FrobeniusNorm, RowNorm, ColumnNorm, Sign, Spectral<>,
                                      LeftSpectral<>, RightSpectral<>, HeadSpectral<Side::left, 4>>);

template <class... Methods>
constexpr bool all_model_polar_method = (... && polar::PolarMethod<Methods>);

static_assert(all_model_polar_method<polar::Automatic, polar::Fast, polar::Zolotarev, polar::GramNewtonSchulz,
                                     polar::NewtonSchulz, polar::PolarExpress, polar::CoupledNewtonSchulz,
                                     polar::CoupledPolarExpress, polar::Exact>);

static_assert(StatefulRule<AdamW, float> && StatefulRule<AdamW, double>);

static_assert(RandomEngine<std::mt19937_64> && RandomEngine<std::mt19937> && RandomEngine<std::minstd_rand> &&
              RandomEngine<symopt::detail::MinimalEngine> && !RandomEngine<std::random_device*> &&
              !RandomEngine<int>);

/// Counts up in eight bits: seven draws make one number.
struct EightBits {
  using result_type = std::uint8_t;
  static constexpr result_type min() { return 0; }
  static constexpr result_type max() { return 255; }
  result_type operator()() { return value_++; }
  result_type value_ = 0;
};

template <class Engine>
void require_uniform(Engine engine, int draws) {
  double sum = 0, squares = 0;
  for (int i = 0; i < draws; ++i) {
    const double x = uniform_number(engine);
    REQUIRE(x >= 0);
    REQUIRE(x < 1);
    sum += x;
    squares += x * x;
  }
  const double error = 5 / std::sqrt(double(draws));
  CHECK(std::abs(sum / draws - 0.5) <= error * std::sqrt(1.0 / 12));
  CHECK(std::abs(squares / draws - 1.0 / 3) <= error * std::sqrt(4.0 / 45));
}

TEST_CASE("uniform numbers come from engines of any range") {
  require_uniform(std::mt19937_64(1), 20000);
  require_uniform(std::mt19937(2), 20000);      // 32 bits
  require_uniform(std::minstd_rand(3), 20000);  // from 1 to 2^31 - 2
  EightBits counting;
  CHECK(uniform_number(counting) == doctest::Approx(6 / 256.0 + 5 / 65536.0).epsilon(1e-4));
}

TEST_CASE("normal numbers have the moments of a normal distribution") {
  std::mt19937_64 engine(4);
  const int draws = 100000;
  double moments[5] = {};
  for (int i = 0; i < draws; ++i) {
    const double x = symopt::detail::standard_normal(engine);
    double power = 1;
    for (double& moment : moments) moment += power / draws, power *= x;
  }
  const double error = 5 / std::sqrt(double(draws));
  CHECK(std::abs(moments[1]) <= error);
  CHECK(std::abs(moments[2] - 1) <= error * std::sqrt(2.0));
  CHECK(std::abs(moments[3]) <= error * std::sqrt(15.0));
  CHECK(std::abs(moments[4] - 3) <= error * std::sqrt(96.0));
}

TEST_CASE("a shuffle gives every order equally often, and a seed names one order everywhere") {
  std::mt19937_64 engine(5);
  int seen[6] = {};
  for (int i = 0; i < 6000; ++i) {
    std::vector<Index> order{0, 1, 2};
    symopt::detail::shuffle(order, engine);
    ++seen[order[0] * 2 + (order[1] > order[2] ? 1 : 0)];
  }
  for (const int count : seen) CHECK(std::abs(count - 1000) <= 150);

  std::mt19937_64 named(7);
  std::vector<Index> order{0, 1, 2, 3, 4, 5};
  symopt::detail::shuffle(order, named);
  CHECK((order == std::vector<Index>{1, 3, 2, 0, 5, 4}));
}

}}  // namespace models_test
