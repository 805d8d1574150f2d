// SPDX-License-Identifier: Apache-2.0
// The checks take pairs: honest rules hold, and every liar is caught.
#include "support/pair_groups.hpp"

#include <symopt/check.hpp>
#include <symopt/pair/pair_optimizer.hpp>
#include <symopt/polar/exact.hpp>

#include <doctest/doctest.h>

#include <cmath>
#include <sstream>
#include <string>

namespace pair_check_test { namespace {

using namespace symopt_test;
using namespace symopt::check;

/// Fewer inputs than a check takes by itself: the machinery is tested elsewhere, without optimization.
const CheckOptions some{.trials = 12,
                        .shapes = {{4, 2}, {9, 4}},
                        .inputs = {"gaussian", "integers", "half-rank", "zero-row", "scale-1e6"}};
const CheckOptions few{.trials = 4, .shapes = {{4, 2}}, .inputs = {"gaussian", "integers"}};

void check_holds(const Report& report) {
  CHECK_MESSAGE(report.verdict == Verdict::holds, to_string(report));
}
void check_violated(const Report& report) {
  CHECK_MESSAGE(report.verdict == Verdict::violated, to_string(report));
}

TEST_CASE_TEMPLATE("derived updates of pairs are equivariant under elements that are not orthogonal", Group,
                   LoraPair, QueryKey, QueryKeyHalves, NeuronPair, UsersPair) {
  check_holds(check_equivariance<Group>(PairUpdate<Group>(), some));
}

TEST_CASE("a smaller gauge is not the larger one: its update is violated there") {
  check_holds(expect_violation<LoraPair>(PairUpdate<NeuronPair>(), few));
  check_holds(expect_violation<LoraPair>(PairUpdate<QueryKey>(), few));
  check_holds(expect_violation<QueryKey>(PairUpdate<QueryKeyHalves>(), some));
  check_holds(expect_violation<NeuronPair>(PairUpdate<ScalarPair>(), few));
  // The other way round it holds: scalars are among all matrices.
  check_holds(check_equivariance<ScalarPair>(PairUpdate<LoraPair>(), some));
  check_holds(check_equivariance<ScalarPair>(PairUpdate<NeuronPair>(), some));
}

/// Directions by the inverse root of a metric that the liar makes of both Gram matrices.
template <class Root>
auto rule_by(const Root& root) {
  return [root](const Matrix<double>& a, const Matrix<double>& b, const Matrix<double>& m_a,
                const Matrix<double>& m_b, Matrix<double>& u_a, Matrix<double>& u_b) {
    const Spectral<polar::Exact> n;
    const Matrix<double> of_a = root(b, a), of_b = root(a, b);
    u_a = n(m_a * of_a) * of_a.transpose();
    u_b = n(m_b * of_b) * of_b.transpose();
  };
}
Matrix<double> inverse_root(const Matrix<double>& gram, double cut = 1e-10) {
  const Eigen::SelfAdjointEigenSolver<Matrix<double>> solver(gram);
  const auto& values = solver.eigenvalues();
  Matrix<double> root = Matrix<double>::Zero(gram.rows(), gram.rows());
  for (Index k = 0; k < gram.rows(); ++k)
    if (values(k) > cut * values.maxCoeff())
      root += solver.eigenvectors().col(k) * solver.eigenvectors().col(k).transpose() / std::sqrt(values(k));
  return root;
}

TEST_CASE("liars: lambda I beside the projection, and the metric of the wrong partner") {
  check_violated(check_equivariance<LoraPair>(
      rule_by([](const Matrix<double>& partner, const Matrix<double>&) -> Matrix<double> {
        return inverse_root(partner.transpose() * partner +
                            0.1 * Matrix<double>::Identity(partner.cols(), partner.cols()));
      }),
      few));
  check_violated(check_equivariance<LoraPair>(
      rule_by([](const Matrix<double>&, const Matrix<double>& own) -> Matrix<double> {
        return inverse_root(own.transpose() * own);
      }),
      few));
}

TEST_CASE("liars: an approximate root") {
  check_violated(check_equivariance<LoraPair>(
      rule_by([](const Matrix<double>& partner, const Matrix<double>&) -> Matrix<double> {
        const Matrix<double> gram = partner.transpose() * partner;
        const double trace = gram.trace();
        const Matrix<double> one = Matrix<double>::Identity(gram.rows(), gram.rows());
        if (!(trace > 0)) return Matrix<double>::Zero(gram.rows(), gram.rows());
        Matrix<double> x = gram / trace, z = one;
        for (int k = 0; k < 5; ++k) {
          const Matrix<double> t = 1.5 * one - 0.5 * z * x;
          x = x * t;
          z = t * z;
        }
        return z / std::sqrt(trace);
      }),
      few));
}

TEST_CASE("liars: a pseudo-inverse where damping is needed; PairUpdate says of itself where it has one") {
  const auto pseudo = [](const Matrix<double>& a, const Matrix<double>& b, const Matrix<double>& m_a,
                         const Matrix<double>& m_b, Matrix<double>& u_a, Matrix<double>& u_b) {
    PairUpdate<LoraPair>()(a, b, m_a, m_b, u_a, u_b);  // and does not hand the ranks on
  };
  check_violated(check_equivariance<LoraPair>(pseudo, few));
  const Report honest = check_equivariance<LoraPair>(PairUpdate<LoraPair>(), some);
  CHECK(honest.ill_posed > 0);
}

using Lora = PairOptimizer<PairUpdate<LoraPair>, double>;
const TrajectoryOptions short_runs{.steps = 4, .trials = 4, .shapes = {{4, 2}, {9, 4}}};

TEST_CASE("the optimizer of pairs keeps the gauge: momentum, damping, decay, horizontal projection") {
  const OptimizerOptions options{.learning_rate = 0.01, .weight_decay = 0.1, .scale = Scale::match_rms};
  check_holds(check_trajectory<LoraPair>(
      [&](PairShape s) { return Lora(s.rows_of_a, s.rows_of_b, s.rank, options); }, short_runs));
  using Neurons = PairOptimizer<PairUpdate<NeuronPair>, double>;
  check_holds(check_trajectory<NeuronPair>(
      [&](Index m, Index n, Index r) { return Neurons(m, n, r, options, {.is_horizontal = true}); },
      short_runs));
}

TEST_CASE("in float alone, elements of condition 30") {
  check_holds(check_trajectory<QueryKey>(
      [](Index m, Index n, Index r) {
        return PairOptimizer<PairUpdate<QueryKey>, float>(m, n, r, {.learning_rate = 0.01});
      },
      short_runs));
}

/// Second moments of every entry, in the frame in which the blocks happen to be.
struct AdamOfBoth {
  AdamOfBoth(Index m, Index n, Index r)
      : a(m, r, {.learning_rate = 0.01}), b(n, r, {.learning_rate = 0.01}) {}
  void step(Matrix<double>& w_a, const Matrix<double>& g_a, Matrix<double>& w_b, const Matrix<double>& g_b) {
    a.step(w_a, g_a);
    b.step(w_b, g_b);
  }
  Optimizer<AdamW, double> a, b;
};

/// Weight decay of one block alone is not the square root of the product's, and keeps the gauge all the same;
/// a decay of its norm does not.
struct ShrinksLargerBlock {
  ShrinksLargerBlock(Index m, Index n, Index r) : optimizer(m, n, r, {.learning_rate = 0.01}) {}
  void step(Matrix<double>& a, const Matrix<double>& g_a, Matrix<double>& b, const Matrix<double>& g_b) {
    optimizer.step(a, g_a, b, g_b);
    (a.norm() > b.norm() ? a : b) *= 0.99;
  }
  Lora optimizer;
};

TEST_CASE("liars: moments in a fixed frame, and a decay that looks at one block") {
  const auto adam = [](Index m, Index n, Index r) { return AdamOfBoth(m, n, r); };
  const auto shrinks = [](Index m, Index n, Index r) { return ShrinksLargerBlock(m, n, r); };
  check_violated(check_trajectory<LoraPair>(adam, short_runs));
  check_violated(check_trajectory<NeuronPair>(adam, short_runs));
  check_violated(check_trajectory<ScalarPair>(adam, short_runs));
  check_violated(check_trajectory<ScalarPair>(shrinks, short_runs));
}

TEST_CASE("horizontal: a projected step is orthogonal to the orbit, the update alone is not") {
  const auto projected = [](const Matrix<double>& a, const Matrix<double>& b, const Matrix<double>& m_a,
                            const Matrix<double>& m_b, Matrix<double>& u_a, Matrix<double>& u_b) {
    PairOptimizer<PairUpdate<LoraPair>, double> optimizer(a.rows(), b.rows(), a.cols(),
                                                          {.learning_rate = 0x1p20, .momentum = 0},
                                                          {.damping = 0, .is_horizontal = true});
    u_a = a;
    u_b = b;
    optimizer.step(u_a, m_a, u_b, m_b);
    u_a -= a;
    u_b -= b;
  };
  const CheckOptions options{.trials = 6, .shapes = {{9, 4}}};
  check_holds(check_horizontal<LoraPair>(projected, options));
  check_violated(check_horizontal<LoraPair>(PairUpdate<LoraPair>(), options));
}

TEST_CASE("classify: the largest gauge of a rule of pairs, and of its rows") {
  const CheckOptions options{
      .trials = 12, .shapes = {{9, 4}}, .inputs = {"gaussian", "integers", "half-rank", "zero-row"}};
  const PairClassification lora = classify_pair(PairUpdate<LoraPair>(), options);
  CHECK_MESSAGE(lora.largest_group() == "Gauge<algebra::Full, LeftOrthogonal, LeftOrthogonal>",
                to_string(lora.reports.front()));
  CHECK(lora.largest_group() == "Gauge<algebra::Full, LeftOrthogonal, LeftOrthogonal>");
  const PairClassification neurons = classify_pair(PairUpdate<NeuronPair>(), options);
  CHECK(neurons.largest_group() == "Gauge<algebra::Diagonal, LeftOrthogonal, LeftOrthogonal>");
  std::ostringstream text;
  text << neurons;
  CHECK(text.str().find("algebra::Full no") != std::string::npos);
}

}}  // namespace pair_check_test
