// SPDX-License-Identifier: Apache-2.0
// The table of docs/derivation.md, row by row: the largest group of each map on either side, and the three
// properties E, H, I under a shift of the rows.
#include <symopt/symopt.hpp>

#include <doctest/doctest.h>

#include <functional>
#include <string>
#include <vector>

#include "support/error.hpp"
#include "support/inputs.hpp"

namespace {

using namespace symopt;
using namespace symopt_test;

constexpr Shape shape{6, 4};
constexpr int head = 2;

/// A rule of gradient and weights; most look at the gradient alone.
using Map = std::function<Matrix<double>(const Matrix<double>& gradient, const Matrix<double>& weights)>;

enum class Lines { rotations, signed_permutations, permutations, head_rotations };

struct Row {
  std::string name;
  Map map;
  Lines left;
  Lines right;
  bool e, h, i;
};

template <class N>
Map of(const N& normalization) {
  return [normalization](const Matrix<double>& gradient, const Matrix<double>&) {
    return normalization(gradient);
  };
}

Matrix<double> centre(const Matrix<double>& block) {
  return HorizontalProjection<Side::left>{}(block);
}

/// The third direction of a stateful rule that sees the same gradient, so that its state matters.
Matrix<double> third_direction(const auto& rule, const Matrix<double>& gradient) {
  typename std::remove_cvref_t<decltype(rule)>::template State<double> state(shape_of(gradient));
  Matrix<double> direction(gradient.rows(), gradient.cols());
  for (int step = 0; step < 3; ++step) rule(gradient, gradient, state, direction);
  return direction;
}

std::vector<Row> table() {
  using enum Lines;
  const Map momentum = [](const Matrix<double>& gradient, const Matrix<double>&) {
    Matrix<double> average = Matrix<double>::Zero(gradient.rows(), gradient.cols()), direction = average;
    Matrix<double> weights = average;
    const kernel::StepNumbers numbers{.keep = 0.9, .nesterov = true};
    const kernel::Streams<double> streams{BlockView<const double>(gradient), BlockView<double>(average),
                                          BlockView<double>(weights)};
    for (int i = 0; i < 3; ++i) {
      kernel::look_ahead(streams, numbers, BlockView<double>(direction));
      kernel::move_along<double>(streams, numbers, BlockView<double>(direction), nullptr);
    }
    return direction;
  };
  const Map damped = [](const Matrix<double>& m, const Matrix<double>&) -> Matrix<double> {
    const Matrix<double> gram = m.transpose() * m + 0.3 * Matrix<double>::Identity(m.cols(), m.cols());
    return m * Eigen::SelfAdjointEigenSolver<Matrix<double>>(gram).operatorInverseSqrt();
  };
  const Map largest_entry = [](const Matrix<double>& m, const Matrix<double>&) -> Matrix<double> {
    return m / m.cwiseAbs().maxCoeff();
  };
  const Map clip = [](const Matrix<double>& m, const Matrix<double>&) -> Matrix<double> {
    return m.cwiseMax(-0.5).cwiseMin(0.5);
  };
  const Map adamw = [](const Matrix<double>& m, const Matrix<double>&) {
    return third_direction(AdamW{}, m);
  };
  const Map decay = [](const Matrix<double>&, const Matrix<double>& weights) { return weights; };
  const Map horizontal_decay = [](const Matrix<double>&, const Matrix<double>& weights) {
    return centre(weights);
  };
  const Map l2 = [](const Matrix<double>& m, const Matrix<double>& weights) -> Matrix<double> {
    return m + 0.1 * weights;
  };
  const Map cautious = [](const Matrix<double>& m, const Matrix<double>& weights) -> Matrix<double> {
    return (m.array() * weights.array() > 0).select(m, 0.0);
  };
  return {
      {"Identity", of(Identity{}), rotations, rotations, true, true, false},
      {"heavy ball with Nesterov", momentum, rotations, rotations, true, true, false},
      {"FrobeniusNorm", of(FrobeniusNorm{}), rotations, rotations, true, true, false},
      {"division by the largest entry", largest_entry, signed_permutations, signed_permutations, true, true,
       false},
      {"clip", clip, signed_permutations, signed_permutations, true, false, false},
      {"Sign", of(Sign{}), signed_permutations, signed_permutations, true, false, false},
      {"AdamW", adamw, signed_permutations, signed_permutations, true, false, false},
      {"RowNorm", of(RowNorm{}), signed_permutations, rotations, true, false, false},
      {"ColumnNorm", of(ColumnNorm{}), rotations, signed_permutations, true, true, false},
      {"Spectral", of(Spectral<>{}), rotations, rotations, true, true, false},
      {"LeftSpectral", of(LeftSpectral<>{}), rotations, rotations, true, true, false},
      {"RightSpectral, Exact", of(RightSpectral<polar::Exact>{}), rotations, rotations, true, true, false},
      {"Newton-Schulz", of(Spectral<polar::NewtonSchulz>{}), rotations, rotations, true, true, false},
      {"damped polar factor", damped, rotations, rotations, true, true, false},
      {"HeadSpectral", of(HeadSpectral<Side::left, head>{}), head_rotations, rotations, true, false, false},
      {"centring", of(HorizontalProjection<Side::left>{}), permutations, rotations, true, true, true},
      {"P RowNorm P", of(Update<LmHead>{}), permutations, rotations, true, true, true},
      {"P Spectral P", of(Update<LmHead, Spectral<>>{}), permutations, rotations, true, true, true},
      {"RowNorm, then Spectral", of(Then<RowNorm, Spectral<>>{}), signed_permutations, rotations, true, false,
       false},
      {"Spectral, then RowNorm", of(Then<Spectral<>, RowNorm>{}), signed_permutations, rotations, true, false,
       false},
      {"weight decay", decay, rotations, rotations, false, false, true},
      {"horizontal weight decay", horizontal_decay, permutations, rotations, true, true, true},
      {"L2 term", l2, rotations, rotations, false, false, false},
      {"cautious mask", cautious, signed_permutations, signed_permutations, false, false, false},
  };
}

/// Orthogonal matrices of one family, and whether `lines` contains the family.
struct FamilySample {
  const char* name;
  std::vector<Matrix<double>> elements;
  bool in(Lines lines) const {
    if (lines == Lines::rotations) return true;
    const std::string family = name;
    if (lines == Lines::head_rotations) return family != "swaps" && family != "rotations";
    if (lines == Lines::permutations) return family == "swaps" || family == "head swaps";
    return family == "swaps" || family == "signs" || family == "head swaps";
  }
};

std::vector<FamilySample> families(Index size) {
  const auto permutation = [&](auto goes_to) {
    Matrix<double> p = Matrix<double>::Zero(size, size);
    for (Index i = 0; i < size; ++i) p(goes_to(i), i) = 1;
    return p;
  };
  return {
      {"swaps", {permutation([](Index i) { return i < 2 ? 1 - i : i; }), permutation([&](Index i) {
                   return (i + 1) % size;
                 })}},
      {"signs", {reflection<double>(size, 0), reflection<double>(size, size - 1)}},
      {"rotations", {plane_rotation<double>(size, 1, 2, 1.0), plane_rotation<double>(size, 0, 3, 0.7)}},
      {"head rotations", {plane_rotation<double>(size, 0, 1, 1.0), plane_rotation<double>(size, 2, 3, 0.7)}},
      {"head swaps", {permutation([](Index i) { return i < 2 * head ? (i + head) % (2 * head) : i; })}}};
}

/// The largest violation over the family's elements on one side.
double violation(const Map& map, const FamilySample& family, Side side, const Matrix<double>& gradient,
                 const Matrix<double>& weights) {
  Worst worst;
  for (const Matrix<double>& q : family.elements) {
    const auto moved = [&](const Matrix<double>& block) -> Matrix<double> {
      if (side == Side::left) return q * block;
      return block * q.transpose();
    };
    worst.add(relative_error(map(moved(gradient), moved(weights)), moved(map(gradient, weights))));
  }
  return worst.value();
}

constexpr double holds = 1e-12;
constexpr double breaks = 1e-2;

TEST_CASE("every map of the lattice table has the group that the table gives it, and no larger one") {
  Random random(default_seed);
  INFO("seed ", default_seed);
  const Matrix<double> gradient = gaussian_block(shape, random), weights = gaussian_block(shape, random);
  for (const Row& row : table()) {
    for (const Side side : {Side::left, Side::right}) {
      const Lines claimed = side == Side::left ? row.left : row.right;
      for (const FamilySample& family : families(side == Side::left ? shape.rows : shape.cols)) {
        CAPTURE(row.name);
        CAPTURE(family.name);
        CAPTURE(side == Side::left);
        const double error = violation(row.map, family, side, gradient, weights);
        if (family.in(claimed)) {
          CHECK(error <= holds);
        } else {
          CHECK(error >= breaks);
        }
      }
    }
  }
}

TEST_CASE("every map of the lattice table has the E, H and I that the table gives it") {
  Random random(default_seed);
  INFO("seed ", default_seed);
  const Matrix<double> gradient = gaussian_block(shape, random), weights = gaussian_block(shape, random);
  const Matrix<double> shift = gaussian_block({1, shape.cols}, random).replicate(shape.rows, 1);
  const Matrix<double> horizontal = centred(gradient, Side::left);
  for (const Row& row : table()) {
    CAPTURE(row.name);
    const Matrix<double> update = row.map(gradient, weights);
    const auto is = [&](bool claimed, double error) { return claimed ? error <= holds : error >= breaks; };
    const double e = relative_error(row.map(gradient, weights + shift), update);
    const double i = relative_error(row.map(gradient + shift, weights), update);
    const Matrix<double> kept = row.map(horizontal, weights);
    const double h = kept.colwise().sum().norm() / kept.norm();
    CAPTURE(e);
    CAPTURE(h);
    CAPTURE(i);
    CHECK(is(row.e, e));
    CHECK(is(row.h, h));
    CHECK(is(row.i, i));
  }
}

TEST_CASE("weight decay commutes with every linear map, and a cautious mask with positive scalings") {
  Random random(default_seed);
  INFO("seed ", default_seed);
  const Matrix<double> gradient = gaussian_block(shape, random), weights = gaussian_block(shape, random);
  const auto decayed = [](Matrix<double> w) {
    Optimizer<Update<Embedding>, double> optimizer(w.rows(), w.cols(),
                                                   {.learning_rate = 0.1, .weight_decay = 2.0});
    optimizer.step(w, Matrix<double>::Zero(w.rows(), w.cols()));
    return w;
  };
  const Matrix<double> a = gaussian_block({shape.rows, shape.rows}, random);
  CHECK(relative_error(decayed(a * weights), a * decayed(weights)) <= holds);
  CHECK(relative_error(decayed(weights), weights) >= breaks);

  // Weights move by A, gradients by its inverse: the signs that the mask compares stay.
  const Eigen::VectorXd scaling = gaussian_block({shape.rows, 1}, random).cwiseAbs().array() + 0.1;
  const auto mask = [](const Matrix<double>& m, const Matrix<double>& w) -> Matrix<double> {
    return (m.array() * w.array() > 0).cast<double>();
  };
  const Matrix<double> moved_gradient = scaling.cwiseInverse().asDiagonal() * gradient;
  const Matrix<double> moved_weights = scaling.asDiagonal() * weights;
  CHECK(relative_error(mask(moved_gradient, moved_weights), mask(gradient, weights)) == 0);
}

TEST_CASE("P RowNorm P commutes with the sign of the whole block, though not with that of one row") {
  Random random(default_seed);
  const Matrix<double> block = gaussian_block(shape, random);
  const Update<LmHead> update;
  CHECK(relative_error(update(-block), -update(block)) <= holds);
}

}  // namespace
