// SPDX-License-Identifier: Apache-2.0
// After its construction an optimizer allocates nothing (but for the eigensolver's memory, counted apart, and
// coupled iterations, whose products are Eigen's: their blocks are small enough for the stack).
#include "support/allocation_suite.hpp"
#include "support/coupled_inverse_root.hpp"

#include <symopt/symopt.hpp>

#include <doctest/doctest.h>

namespace allocation_spectral_test { namespace {

using namespace symopt;
using namespace symopt_test;

TEST_CASE_TEMPLATE("polar factors allocate nothing, whatever the size", Scalar, float, double) {
  constexpr Shape tall{300, 60};  // of more than one tile in either direction
  for (const Shape shape : {small, transposed(small), tall, Shape{1, 9}, Shape{9, 1}}) {
    check_steps<Update<HiddenMatrix>, Scalar>(shape, usual, {});
    check_steps<Update<Router, LeftSpectral<>>, Scalar>(shape, horizontal, {});
    check_steps<Adaptive<HiddenMatrix>, Scalar>(shape, {.weight_decay = 0.1}, {});
    check_steps<Spectral<polar::GramNewtonSchulz>, Scalar>(shape, usual, {});
    check_steps<Spectral<polar::PolarExpress>, Scalar>(shape, usual, {});
  }
}

TEST_CASE("hybrids, heads and coupled iterations allocate nothing either") {
  using Hybrid = Then<RowNorm, DualNorm<Spectral<polar::NewtonSchulz>>>;
  check_steps<Update<LmHead, Hybrid>, float>(small, usual, {});
  check_steps<HeadSpectral<Side::left, 8>, double>(small, usual, {});
  check_steps<Spectral<polar::CoupledPolarExpress>, float>(small, usual, {});
  check_steps<Spectral<polar::CoupledNewtonSchulz>, double>(transposed(small), usual, {});
}

TEST_CASE("the exact polar factor allocates what Eigen's eigensolver does, and nothing of its own") {
  for (const Shape shape : {small, transposed(small), Shape{5, 9}, Shape{2, 2}, Shape{1, 3}}) {
    CAPTURE(symopt::to_string(shape));
    const Index size = std::min(shape.rows, shape.cols);
    const Matrix<double> gram = Matrix<double>::Identity(size, size) + Matrix<double>::Ones(size, size);
    Eigen::SelfAdjointEigenSolver<Matrix<double>> solver(gram);
    const long bare = counted([&] {
      for (int step = 0; step < 3; ++step) solver.compute(gram);
    });
    using Rule = Spectral<polar::Exact>;
    constexpr int rows = Eigen::RowMajor, columns = Eigen::ColMajor;
    CHECK(allocations_of_steps<Rule, float, rows, rows>(shape, usual, {}) <= bare);
    CHECK(allocations_of_steps<Rule, double, columns, columns>(shape, usual, {}) <= bare);
  }
}

TEST_CASE("an update in place allocates its workspace, and nothing given one") {
  CAPTURE(default_seed);
  Random random(default_seed);
  Matrix<double> block = gaussian_block(small, random);
  const Update<LmHead, Then<RowNorm, Spectral<>>> update;
  CHECK(counted([&] { update(block, block); }) > 0);
  Update<LmHead, Then<RowNorm, Spectral<>>>::Workspace<double> workspace(small);
  CHECK(counted([&] { update.apply<double>(block, workspace); }) == 0);
}

}}  // namespace allocation_spectral_test
