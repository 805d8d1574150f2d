// SPDX-License-Identifier: Apache-2.0
// What a group derives: its normalization, its projection, what it admits, and in which order they are
// applied.
#include "support/group_list.hpp"
#include "support/reference.hpp"

#include <symopt/symopt.hpp>

#include <doctest/doctest.h>

namespace derivation_test { namespace {

using namespace symopt;
using namespace symopt_test;

template <int size>
using LeftHeads = HeadRotations<Side::left, size>;
template <int size>
using RightHeads = HeadRotations<Side::right, size>;

template <class Group, class Expected>
constexpr bool derives = std::same_as<default_normalization_t<Group>, Expected>;
template <class Group, Side... sides>
constexpr bool projects = std::same_as<horizontal_projection_t<Group>, HorizontalProjection<sides...>>;

// No linear factor.
static_assert(derives<Trivial, Identity> && derives<Product<>, Identity>);
static_assert(derives<SharedShift, Identity> && derives<ColumnShift, Identity>);
static_assert(derives<Product<SharedShift, ColumnShift>, Identity>);
// One side.
static_assert(derives<LeftOrthogonal, LeftSpectral<>> && derives<RightOrthogonal, RightSpectral<>>);
static_assert(derives<Product<LeftOrthogonal, ColumnShift>, LeftSpectral<>>);
static_assert(derives<RowPermutation, RowNorm> && derives<ColumnPermutation, ColumnNorm>);
static_assert(derives<SignedRowPermutation, RowNorm> && derives<SignedColumnPermutation, ColumnNorm>);
static_assert(derives<Product<RowPermutation, SharedShift>, RowNorm>);
static_assert(derives<Product<RowPermutation, ColumnShift>, RowNorm>);
static_assert(derives<LeftHeads<4>, HeadSpectral<Side::left, 4>>);
static_assert(derives<RightHeads<4>, HeadSpectral<Side::right, 4>>);
static_assert(derives<LeftHeads<1>, RowNorm> && derives<RightHeads<1>, ColumnNorm>);
static_assert(derives<CyclicRows, RowNorm>);
// Two sides.
static_assert(derives<BiOrthogonal, Spectral<>> && derives<HiddenMatrix, Spectral<>>);
static_assert(derives<Product<RowPermutation, RightOrthogonal>, RowNorm>);
static_assert(derives<Product<RightOrthogonal, RowPermutation>, RowNorm>);
static_assert(derives<Product<SignedRowPermutation, RightOrthogonal>, RowNorm>);
static_assert(derives<Product<LeftOrthogonal, ColumnPermutation>, ColumnNorm>);
static_assert(derives<Product<LeftOrthogonal, SignedColumnPermutation>, ColumnNorm>);
static_assert(derives<Embedding, RowNorm> && derives<TiedEmbedding, RowNorm> &&
              derives<SwigluInput, RowNorm>);
static_assert(derives<SwigluOutput, ColumnNorm> && derives<LmHead, RowNorm> && derives<Router, RowNorm>);
static_assert(derives<Product<RowPermutation, ColumnPermutation>, Sign>);
static_assert(derives<Product<SignedRowPermutation, SignedColumnPermutation>, Sign>);
static_assert(derives<Product<RowPermutation, SignedColumnPermutation>, Sign>);
static_assert(derives<Product<SignedRowPermutation, ColumnPermutation>, Sign>);
static_assert(derives<Product<RowPermutation, ColumnPermutation, SharedShift, ColumnShift>, Sign>);
static_assert(derives<Product<LeftHeads<4>, RightOrthogonal>, HeadSpectral<Side::left, 4>>);
static_assert(derives<Product<LeftOrthogonal, RightHeads<2>>, HeadSpectral<Side::right, 2>>);
static_assert(derives<Product<LeftHeads<1>, RightHeads<1>>, Sign>);
static_assert(derives<Product<LeftHeads<1>, RightOrthogonal>, RowNorm>);
static_assert(derives<Product<CyclicRows, RightOrthogonal, SharedShift>, RowNorm>);
// The negative half: what each might be taken for.
static_assert(!derives<LeftOrthogonal, Spectral<>> && !derives<LeftOrthogonal, RightSpectral<>>);
static_assert(!derives<BiOrthogonal, FrobeniusNorm> && !derives<Embedding, RightSpectral<>>);
static_assert(!derives<SwigluOutput, RowNorm> && !derives<Embedding, ColumnNorm>);
static_assert(!derives<Product<RowPermutation, ColumnPermutation>, RowNorm>);
static_assert(!derives<LeftHeads<4>, HeadSpectral<Side::left, 2>>);
static_assert(!derives<LeftHeads<4>, HeadSpectral<Side::right, 4>>);

static_assert(projects<Trivial> && projects<BiOrthogonal> && projects<Embedding> && projects<TiedEmbedding>);
static_assert(projects<SwigluInput> && projects<SwigluOutput> && projects<HiddenMatrix>);
static_assert(projects<SharedShift, Side::left> && projects<ColumnShift, Side::right>);
static_assert(projects<LmHead, Side::left> && projects<Router, Side::left>);
static_assert(projects<Product<LeftOrthogonal, ColumnPermutation, ColumnShift>, Side::right>);
static_assert(projects<Product<ColumnShift, SharedShift>, Side::left, Side::right>);
static_assert(projects<Product<CyclicRows, RightOrthogonal, SharedShift>, Side::left>);
static_assert(!projects<LmHead> && !projects<LmHead, Side::right> && !projects<Embedding, Side::left>);

/// A user's rules: one that says where it holds, and one that does not.
struct Halved {
  using largest_group = BiOrthogonal;
  template <class Block>
  auto operator()(const Block& block) const {
    return (0.5 * block).eval();
  }
};
struct Silent {
  template <class Block>
  auto operator()(const Block& block) const {
    return block.eval();
  }
};

static_assert(Admissible<Identity, BiOrthogonal> && Admissible<FrobeniusNorm, LmHead>);
static_assert(Admissible<Spectral<>, Embedding> && Admissible<LeftSpectral<>, Router>);
static_assert(Admissible<RowNorm, Embedding> && Admissible<RowNorm, SignedRowPermutation>);
static_assert(Admissible<RowNorm, LmHead> && Admissible<ColumnNorm, SwigluOutput>);
static_assert(Admissible<Sign, Product<SignedRowPermutation, ColumnPermutation>>);
static_assert(Admissible<HeadSpectral<Side::left, 4>, LeftHeads<4>>);
static_assert(Admissible<Spectral<>, LeftHeads<4>>);
static_assert(Admissible<PerHead<Side::left, 4, FrobeniusNorm>, Product<LeftHeads<4>, RightOrthogonal>>);
static_assert(Admissible<PerHead<Side::left, 4, ColumnNorm>, Product<LeftHeads<4>, SignedColumnPermutation>>);
static_assert(Admissible<PerHead<Side::left, 1, FrobeniusNorm>, SignedRowPermutation>);
static_assert(Admissible<Then<RowNorm, Spectral<>>, LmHead> &&
              Admissible<DualNorm<Spectral<>>, HiddenMatrix>);
static_assert(Admissible<RowNorm, CyclicRows> && Admissible<Halved, HiddenMatrix>);
static_assert(Admissible<AdamW, Product<SignedRowPermutation, SignedColumnPermutation>>);
static_assert(Admissible<Sign, SharedShift> && Admissible<Sign, Trivial>);  // translations move no gradient

static_assert(!Admissible<RowNorm, BiOrthogonal> && !Admissible<RowNorm, SwigluOutput>);
static_assert(!Admissible<ColumnNorm, LmHead> && !Admissible<ColumnNorm, Embedding>);
static_assert(!Admissible<Sign, Embedding> && !Admissible<Sign, LeftOrthogonal>);
static_assert(!Admissible<Sign, LeftHeads<2>> && !Admissible<RowNorm, LeftHeads<2>>);
static_assert(!Admissible<HeadSpectral<Side::left, 4>, HiddenMatrix>);
static_assert(!Admissible<HeadSpectral<Side::left, 4>, RowPermutation>);
static_assert(!Admissible<HeadSpectral<Side::left, 4>, LeftHeads<2>>);
static_assert(!Admissible<PerHead<Side::left, 4, RowNorm>, LeftHeads<4>>);
static_assert(!Admissible<PerHead<Side::left, 4, ColumnNorm>, Product<LeftHeads<4>, RightOrthogonal>>);
static_assert(!Admissible<PerHead<Side::left, 4, FrobeniusNorm>, RowPermutation>);
static_assert(!Admissible<Then<RowNorm, Spectral<>>, HiddenMatrix>);
static_assert(!Admissible<DualNorm<RowNorm>, HiddenMatrix> && !Admissible<AdamW, Embedding>);
static_assert(!Admissible<Silent, Trivial> && !Admissible<Identity, RowScalings>);
static_assert(!Admissible<HorizontalProjection<Side::left>, LeftOrthogonal>);

// The order of the stages, against the formulas written by hand.

using polar::Exact;
constexpr Shape tall{9, 4};

Matrix<double> left_centred(const Matrix<double>& x) {
  return centred(x, Side::left);
}
Matrix<double> right_centred(const Matrix<double>& x) {
  return centred(x, Side::right);
}

struct Formula {
  std::string name;
  Matrix<double> actual;
  Matrix<double> expected;
};

std::vector<Formula> formulas(const Matrix<double>& m) {
  const auto p = left_centred;
  const auto q = right_centred;
  const auto r = [](const Matrix<double>& x) { return rows_normalized(x); };
  const auto c = [](const Matrix<double>& x) { return columns_normalized(x); };
  const auto u = [](const Matrix<double>& x) { return polar_by_svd(x); };
  using Columns = Product<LeftOrthogonal, ColumnPermutation, ColumnShift>;
  using EveryLine = Product<RowPermutation, ColumnPermutation, SharedShift, ColumnShift>;
  const DualNorm<Spectral<Exact>> dual{.alpha = 0.5};
  const auto nu = [](const Matrix<double>& x) { return std::sqrt(nuclear_norm(x)); };
  return {
      {"M", Update<Trivial>{}(m), m},
      {"P M", Update<SharedShift>{}(m), p(m)},
      {"M Q", Update<ColumnShift>{}(m), q(m)},
      {"R(M)", Update<Embedding>{}(m), r(m)},
      {"C(M)", Update<SwigluOutput>{}(m), c(m)},
      {"sign(M)", Update<Product<RowPermutation, ColumnPermutation>>{}(m), signs_of(m)},
      {"polar(M)", Update<HiddenMatrix, Spectral<Exact>>{}(m), u(m)},
      {"polar(R(M))", Update<Embedding, Then<RowNorm, Spectral<Exact>>>{}(m), u(r(m))},
      {"R(polar(M))", Update<Embedding, Then<Spectral<Exact>, RowNorm>>{}(m), r(u(m))},
      {"polar(C(M))", Update<SwigluOutput, Then<ColumnNorm, Spectral<Exact>>>{}(m), u(c(m))},
      {"P R(P M)", Update<LmHead>{}(m), p(r(p(m)))},
      {"P polar(P M)", Update<LmHead, Spectral<Exact>>{}(m), p(u(p(m)))},
      {"P polar(P M), router", Update<Router, LeftSpectral<Exact>>{}(m), p(u(p(m)))},
      {"P polar(P R(P M))", Update<LmHead, Then<RowNorm, Spectral<Exact>>>{}(m), p(u(p(r(p(m)))))},
      {"P R(polar(P M))", Update<LmHead, Then<Spectral<Exact>, RowNorm>>{}(m), p(r(u(p(m))))},
      {"P R(P R(P M))", Update<LmHead, Then<RowNorm, RowNorm>>{}(m), p(r(p(r(p(m)))))},
      {"C(M Q) Q", Update<Columns>{}(m), q(c(q(m)))},
      {"polar(C(M Q) Q) Q", Update<Columns, Then<ColumnNorm, Spectral<Exact>>>{}(m), q(u(q(c(q(m)))))},
      {"P sign(P M Q) Q", Update<EveryLine>{}(m), p(q(signs_of(p(q(m)))))},
      {"P C(P R(P M Q) Q) Q", Update<EveryLine, Then<RowNorm, ColumnNorm>>{}(m), p(q(c(p(q(r(p(q(m))))))))},
      {"nu^a polar(M)", Update<HiddenMatrix, DualNorm<Spectral<Exact>>>{dual}(m), nu(m) * u(m)},
      {"nu^a P polar(P M)", Update<Router, DualNorm<Spectral<Exact>>>{dual}(m), nu(p(m)) * p(u(p(m)))},
      {"nu^a polar(R(M)), nu of R(M)",
       Update<Embedding, Then<RowNorm, DualNorm<Spectral<Exact>>>>{{{}, dual}}(m), nu(r(m)) * u(r(m))},
      {"nested", Update<LmHead, Then<Then<RowNorm, Spectral<Exact>>, RowNorm>>{}(m), p(r(u(p(r(p(m))))))},
      {"a user's halves", Update<LmHead, Halved>{}(m), 0.5 * p(m)},
      {"a user's halves, then rows", Update<LmHead, Then<Halved, RowNorm>>{}(m), p(r(0.5 * p(m)))},
  };
}

TEST_CASE(
    "a derived update is its formula, with the projection wherever a stage leaves the horizontal space") {
  CAPTURE(default_seed);
  Random random(default_seed);
  for (const Shape shape : {tall, transposed(tall), Shape{5, 5}}) {
    CAPTURE(symopt::to_string(shape));
    for (const Formula& formula : formulas(gaussian_block(shape, random))) {
      CAPTURE(formula.name);
      CHECK(relative_error(formula.actual, formula.expected) <= 1e-12);
    }
  }
}

TEST_CASE("the order of stages matters") {
  CAPTURE(default_seed);
  Random random(default_seed);
  const Matrix<double> m = gaussian_block(tall, random);
  const Matrix<double> row_first = Update<LmHead, Then<RowNorm, Spectral<Exact>>>{}(m);
  const Matrix<double> polar_first = Update<LmHead, Then<Spectral<Exact>, RowNorm>>{}(m);
  CHECK(relative_error(row_first, polar_first) > 1e-2);
  // Without the projection between the stages the result would be another one.
  const Matrix<double> no_middle = left_centred(polar_by_svd(rows_normalized(left_centred(m))));
  CHECK(relative_error(row_first, no_middle) > 1e-3);
}

}}  // namespace derivation_test
