// SPDX-License-Identifier: Apache-2.0
// Polar factors of a block whose rows several ranks share: by the Gram matrix of its shorter side, which all
// ranks have to the bit, wherever its rows are split.
#include "mpi/split_rows.hpp"

#include <symopt/derive/then.hpp>
#include <symopt/group/head_rotations.hpp>
#include <symopt/group/named_groups.hpp>
#include <symopt/normalization/one_sided_spectral.hpp>
#include <symopt/normalization/per_head.hpp>
#include <symopt/polar/fast.hpp>
#include <symopt/polar/gram_newton_schulz.hpp>
#include <symopt/polar/newton_schulz.hpp>
#include <symopt/polar/polar_express.hpp>
#include <symopt/polar/zolotarev.hpp>

#include <Eigen/SVD>

#include <limits>

namespace rows_polar_test { namespace {

using namespace symopt;
using namespace symopt_test;

const OptimizerOptions plain{.learning_rate = 0.1, .weight_decay = 0.1};

/// Three steps from the same weights, and how far they lead from those of one process.
template <class Rule, class Scalar>
double distance(Shape shape, const Split& split, double scale = 1) {
  Twins<Rule, Scalar> twins(shape, split, plain);
  const Matrix<Scalar> start = twins.whole_weights;
  for (int step = 0; step < 3; ++step)
    twins.step(static_cast<Scalar>(scale) * quick_block<Scalar>(shape, twins.random));
  return twins.distance(start);
}

/// A bound on what rounding makes of three steps.
template <class Scalar>
inline constexpr double bound = sizeof(Scalar) == 4 ? 2e-3 : 1e-8;

template <class Rule, class Scalar = float>
void check() {
  // Tall: the Gram matrix of the columns. Wide: the block is turned.
  for (const Shape shape : {Shape{60, 20}, Shape{20, 60}}) {
    CAPTURE(symopt::to_string(shape));
    CHECK(distance<Rule, Scalar>(shape, uneven_split(shape)) < bound<Scalar>);
  }
}

TEST_CASE("polar factors of all shapes and scales, at any split") {
  // One column; fewer columns than ranks; rows for two ranks; one row.
  for (const Shape shape :
       {Shape{36, 12}, Shape{12, 36}, Shape{9, 9}, Shape{50, 1}, Shape{40, 3}, Shape{2, 3}, Shape{1, 9}})
    for (const Split& split : {uneven_split(shape), lopsided_split(shape)})
      for (const double scale : {1.0, 1e12, 1e-12}) {
        CAPTURE(symopt::to_string(shape));
        CAPTURE(scale);
        CHECK(distance<Update<HiddenMatrix>, float>(shape, split, scale) < bound<float>);
      }
}

TEST_CASE("polar factors by rational maps") {
  check<Update<HiddenMatrix>>();
  check<Update<HiddenMatrix>, double>();
  check<Update<HiddenMatrix, Spectral<polar::Fast>>>();
  check<Update<HiddenMatrix, Spectral<polar::Zolotarev>>>();
}

TEST_CASE("polar factors by polynomials") {
  check<Update<HiddenMatrix, Spectral<polar::PolarExpress>>>();
  check<Spectral<polar::NewtonSchulz>, double>();
  check<Spectral<polar::GramNewtonSchulz>>();
}

TEST_CASE("the Gram matrix of a side by name, and a polar factor among other stages") {
  check<Update<HiddenMatrix, LeftSpectral<>>>();
  check<RightSpectral<>>();
  check<Update<LmHead, Then<RowNorm, Spectral<>>>, double>();
}

TEST_CASE("heads on one rank each: the bits of one process") {
  const Shape shape{96, 40};
  Twins<Update<Product<HeadRotations<Side::left, 8>, RightOrthogonal>>, float> twins(
      shape, promised_split(shape, 8), plain);
  for (int step = 0; step < 3; ++step) twins.step(gradient_of_kind<float>(0, shape, twins.random));
  CHECK(twins.have_same_weights());
}

/// The direction of a step of rate 1 from zero weights, of all ranks one after the other.
template <class Rule>
Matrix<double> direction(Shape shape, const Split& split, const Matrix<double>& gradient) {
  const mpi::RowRange own = own_rows(split);
  mpi::RowOptimizer<Rule, double> optimizer(MPI_COMM_WORLD, own.end - own.begin, shape.cols,
                                            {.learning_rate = 1, .momentum = 0});
  Matrix<double> whole = Matrix<double>::Zero(shape.rows, shape.cols);
  Matrix<double> part = rows_of(whole, own);
  optimizer.step(part, rows_of(gradient, own));
  rows_of(whole, own) = part;
  MPI_Allreduce(MPI_IN_PLACE, whole.data(), static_cast<int>(whole.size()), MPI_DOUBLE, MPI_SUM,
                MPI_COMM_WORLD);
  return -whole;
}

TEST_CASE("singular values of a split block lie in the band of the method") {
  Random random(default_seed);
  for (const Shape shape : {Shape{80, 20}, Shape{20, 80}})
    for (const double condition : {2.0, 300.0}) {
      CAPTURE(symopt::to_string(shape));
      const Matrix<double> gradient = block_with_spectrum(shape, log_spaced(20, condition), random);
      const auto values =
          direction<Update<HiddenMatrix>>(shape, uneven_split(shape), gradient).jacobiSvd().singularValues();
      CHECK(values.maxCoeff() < 1.044);
      CHECK(values.minCoeff() > 0.956);
    }
}

TEST_CASE("all ranks have the bits of one Gram matrix") {
  // Every rank has the same rows, so that all have the same direction, if they multiply by the same matrix.
  const Index own = 37, cols = 16;
  Random random(default_seed);
  const Matrix<float> gradient = gaussian_block({own, cols}, random).cast<float>();
  Matrix<float> weights = Matrix<float>::Zero(own, cols);
  mpi::RowOptimizer<Update<HiddenMatrix>> optimizer(MPI_COMM_WORLD, own, cols, plain);
  for (int step = 0; step < 3; ++step) optimizer.step(weights, gradient);
  Matrix<float> first = weights;
  MPI_Bcast(first.data(), static_cast<int>(first.size()), MPI_FLOAT, 0, MPI_COMM_WORLD);
  CHECK(same_bits(weights, first));
}

TEST_CASE("a gradient of zeros, and Inf and NaN that nobody checks, step alike on all ranks") {
  for (const Shape shape : {Shape{40, 10}, Shape{10, 40}}) {
    CAPTURE(symopt::to_string(shape));
    const Split split = uneven_split(shape);
    CHECK(distance<Update<HiddenMatrix>, float>(shape, split, 0) < 1e-6);
    const mpi::RowRange own = own_rows(split);
    OptimizerOptions unchecked = plain;
    unchecked.non_finite = NonFinite::unchecked;
    for (const float bad :
         {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
      mpi::RowOptimizer<Update<HiddenMatrix>> optimizer(MPI_COMM_WORLD, own.end - own.begin, shape.cols,
                                                        unchecked);
      Matrix<float> weights = Matrix<float>::Zero(own.end - own.begin, shape.cols), gradient = weights;
      if (own_rank() == rank_count() - 1) gradient(0, 0) = bad;
      optimizer.step(weights, gradient);
      CHECK(weights.array().isNaN().all());
    }
  }
}

}}  // namespace rows_polar_test
