// SPDX-License-Identifier: Apache-2.0
// The numerical traps of docs/derivation.md and of the headers, one test each.
#include "support/reference.hpp"

#include <symopt/symopt.hpp>

#include <doctest/doctest.h>

namespace trap_test { namespace {

using namespace symopt;
using namespace symopt_test;
using polar::Exact;

TEST_CASE("five polynomial steps do not converge, eight do; the default stays within 4.4 %") {
  CAPTURE(default_seed);
  Random random(default_seed);
  const Matrix<double> block = block_with_spectrum({8, 8}, log_spaced(8, 500), random);
  const auto deviation = [&](const auto& rule) {
    return (singular_values(rule(block)).array() - 1).abs().maxCoeff();
  };
  CHECK(deviation(Spectral<polar::PolarExpress>{{.steps = 5}}) > 0.1);
  CHECK(deviation(Spectral<polar::NewtonSchulz>{}) > 0.1);
  CHECK(deviation(Spectral<polar::PolarExpress>{polar::PolarExpress::muon()}) > 0.05);
  CHECK(deviation(Spectral<polar::PolarExpress>{}) <= 3e-8);
  CHECK(deviation(Spectral<>{}) <= 0.044);
  CHECK(deviation(Spectral<Exact>{}) <= 1e-10);
}

TEST_CASE("alpha has no effect, up to eps, when the row norm comes last") {
  CAPTURE(default_seed);
  Random random(default_seed);
  const Matrix<double> m = gaussian_block({9, 4}, random);
  const auto dual_then_row = [&](double alpha, double eps) {
    return Update<Embedding, Then<DualNorm<Spectral<>>, RowNorm>>({{.alpha = alpha}, RowNorm{.eps = eps}})(m);
  };
  CHECK(relative_error(dual_then_row(1, 0), dual_then_row(0, 0)) <= 1e-15);
  CHECK(relative_error(dual_then_row(1, 1e-8), dual_then_row(0, 1e-8)) <= 1e-7);
  CHECK(relative_error(dual_then_row(1, 1e-8), dual_then_row(0, 1e-8)) > 0);
  const auto row_then_dual = [&](double alpha) {
    return Update<Embedding, Then<RowNorm, DualNorm<Spectral<>>>>({RowNorm{}, {.alpha = alpha}})(m);
  };
  CHECK(relative_error(row_then_dual(1), row_then_dual(0)) > 0.5);
}

TEST_CASE("nu is the nuclear norm, the sum of row norms, or the l1 norm of the stage's own input") {
  CAPTURE(default_seed);
  Random random(default_seed);
  const Matrix<double> m = gaussian_block({5, 7}, random);
  CHECK(relative_error(DualNorm<Spectral<Exact>>{}(m), nuclear_norm(m) * polar_by_svd(m)) <= 1e-6);
  CHECK(relative_error(DualNorm<RowNorm>{1.0, {.eps = 0}}(m),
                       m.rowwise().norm().sum() * rows_normalized(m, 0)) <= 1e-14);
  CHECK(relative_error(DualNorm<Sign>{}(m), m.cwiseAbs().sum() * signs_of(m)) <= 1e-14);
  CHECK(relative_error(DualNorm<FrobeniusNorm>{}(m), m) <= 1e-14);
}

TEST_CASE("a row norm of a horizontal block with a zero row is decided by rounding, and still horizontal") {
  CAPTURE(default_seed);
  Random random(default_seed);
  // Rows that sum to zero up to rounding, and one that is zero up to rounding after centring.
  Matrix<double> block = gaussian_block({7, 3}, random);
  block.row(0) = block.bottomRows(6).colwise().mean();
  const Matrix<double> nudged = block * (1 + 3e-16);
  const Update<LmHead> without_eps(RowNorm{.eps = 0});
  const Matrix<double> a = without_eps(block);
  const Matrix<double> b = without_eps(nudged);
  CHECK(a.allFinite());
  CHECK(a.colwise().sum().norm() <= 1e-14);
  // Each of the other rows is well determined; the first one, before the last centring, need not be.
  CHECK(relative_error(a.row(1) - a.row(2), b.row(1) - b.row(2)) <= 1e-12);
  // The default eps keeps a row of rounding errors at rounding size.
  const Update<LmHead> with_eps;
  CHECK(relative_error(with_eps(block), with_eps(nudged)) <= 1e-6);
}

}}  // namespace trap_test
