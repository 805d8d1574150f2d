// SPDX-License-Identifier: Apache-2.0
// AdamW made equivariant under rotations of the width by an average over a frame: a run from a rotated start
// stays the rotated run, which plain AdamW's does not.
#include <symopt/check/laws/equivariance.hpp>
#include <symopt/frame/frame_average.hpp>
#include <symopt/symopt.hpp>

#include <algorithm>
#include <cmath>
#include <iostream>
#include <limits>
#include <random>

using namespace symopt;

constexpr Index tokens = 16;
constexpr Index width = 12;

/// The loss after training an embedding on <W - T, (W - T) C> / 2, in coordinates turned by `rotation`.
template <class Rule>
double loss_after_training(const Rule& rule, const Matrix<double>& rotation, double rate) {
  constexpr int steps = 300;
  std::mt19937_64 random(5);
  const Matrix<double> target = gaussian<double>({tokens, width}, random) * rotation.transpose();
  const Matrix<double> basis = rotation * haar_orthogonal<double>(width, random);
  const Eigen::VectorXd curvature = Eigen::VectorXd::LinSpaced(width, -2, 0).unaryExpr([](double exponent) {
    return std::pow(10.0, exponent);
  });
  const Matrix<double> hessian = basis * curvature.asDiagonal() * basis.transpose();

  Matrix<double> weights = Matrix<double>::Zero(tokens, width);
  Optimizer<Rule, double> optimizer(tokens, width, {.learning_rate = rate}, rule);
  for (int step = 0; step < steps; ++step) {
    optimizer.set_schedule_factor(1 - static_cast<double>(step) / steps);
    const Matrix<double> noise = gaussian<double>({tokens, width}, random) * rotation.transpose();
    optimizer.step(weights, Matrix<double>((weights - target + noise) * hessian));
  }
  return ((weights - target) * hessian * (weights - target).transpose()).trace() / 2;
}

template <class Rule>
double best_loss(const Rule& rule) {
  const Matrix<double> one = Matrix<double>::Identity(width, width);
  double best = std::numeric_limits<double>::infinity();
  for (const double rate : {0.005, 0.01, 0.02, 0.04, 0.08})
    best = std::min(best, loss_after_training(rule, one, rate));
  return best;
}

int main() {
  const AdamW adamw{.beta2 = 0.99};
  const auto averaged = frame_average<Embedding>(adamw, {.memory = 0.95});

  std::mt19937_64 random(3);
  const Matrix<double> one = Matrix<double>::Identity(width, width);
  const Matrix<double> turned = haar_orthogonal<double>(width, random);
  const auto change = [&](const auto& rule) {
    return std::abs(loss_after_training(rule, turned, 0.02) / loss_after_training(rule, one, 0.02) - 1);
  };
  const double plain_change = change(adamw), averaged_change = change(averaged);
  std::cout.precision(2);
  std::cout << "a rotation of the width changes the loss of AdamW by " << 100 * plain_change
            << " %, of its average by less than " << (averaged_change < 1e-9 ? "1e-7" : "too much") << " %\n";

  const double plain_loss = best_loss(adamw), averaged_loss = best_loss(averaged);
  const double without_memory = best_loss(frame_average<Embedding>(adamw, {.memory = 0}));
  std::cout << "best loss of five rates, over that of AdamW: " << averaged_loss / plain_loss
            << " with memory 0.95, " << without_memory / plain_loss << " with memory 0\n";

  // The verdicts of the checker, on inputs of every kind.
  const check::Report plain_report = check::check_equivariance<Embedding>(adamw);
  const check::Report averaged_report = check::check_equivariance<Embedding>(averaged);
  std::cout << "AdamW is " << check::to_string(plain_report.verdict) << ", its average "
            << check::to_string(averaged_report.verdict) << '\n';

  Optimizer<FrameAveraged<Embedding, AdamW>, double> optimizer(tokens, width, {.learning_rate = 0.02},
                                                               averaged);
  Matrix<double> weights = Matrix<double>::Zero(tokens, width);
  optimizer.step(weights, gaussian<double>({tokens, width}, random));
  std::cout << "one step: " << optimizer.state().report << '\n';

  const bool is_as_claimed = plain_report.verdict == check::Verdict::violated && averaged_report &&
                             averaged_change < 1e-9 && plain_change > 1e-3;
  return is_as_claimed ? 0 : 1;
}
