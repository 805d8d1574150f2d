// SPDX-License-Identifier: Apache-2.0
// AdamW made equivariant under rotations of the width by an average over a frame: a run from a rotated start
// stays the rotated run, which plain AdamW's does not.
#include <symopt/check/symmetry_error.hpp>
#include <symopt/symopt.hpp>
#include <symopt/update/frame_average.hpp>

#include <iostream>

using namespace symopt;

constexpr Index tokens = 16;
constexpr Index width = 12;

/// The loss after training an embedding on <W - T, (W - T) C> / 2, in coordinates turned by `rotation`.
template <class Rule>
double loss_after_training(const Rule& rule, const Matrix<double>& rotation) {
  std::mt19937_64 random(5);
  const Matrix<double> target = gaussian<double>({tokens, width}, random) * rotation.transpose();
  const Matrix<double> basis = rotation * haar_orthogonal<double>(width, random);
  const Eigen::VectorXd curvature = Eigen::VectorXd::LinSpaced(width, -2, 0).unaryExpr([](double exponent) {
    return std::pow(10.0, exponent);
  });
  const Matrix<double> hessian = basis * curvature.asDiagonal() * basis.transpose();

  Matrix<double> weights = Matrix<double>::Zero(tokens, width);
  Optimizer<Rule, double> optimizer(tokens, width, {.learning_rate = 0.02}, rule);
  for (int step = 0; step < 300; ++step) {
    optimizer.set_schedule_factor(1 - step / 300.0);
    const Matrix<double> noise = gaussian<double>({tokens, width}, random) * rotation.transpose();
    optimizer.step(weights, Matrix<double>((weights - target + noise) * hessian));
  }
  return ((weights - target) * hessian * (weights - target).transpose()).trace() / 2;
}

int main() {
  const auto averaged = frame_average<Embedding>(AdamW{.beta2 = 0.99}, {.memory = 0.95});

  std::mt19937_64 random(3);
  const Matrix<double> one = Matrix<double>::Identity(width, width);
  const Matrix<double> turned = haar_orthogonal<double>(width, random);
  const double plain_change =
      loss_after_training(AdamW{.beta2 = 0.99}, turned) / loss_after_training(AdamW{.beta2 = 0.99}, one) - 1;
  const double averaged_loss = loss_after_training(averaged, one);
  const double averaged_change = loss_after_training(averaged, turned) / averaged_loss - 1;
  std::cout << "a rotation of the width changes the loss of AdamW by " << 100 * plain_change
            << " %, of its average by " << 100 * averaged_change << " %\n";

  std::vector<Matrix<double>> gradients;
  for (int step = 0; step < 5; ++step) gradients.push_back(gaussian<double>({tokens, width}, random));
  const auto error = check::symmetry_error<Embedding>(averaged, gradients);
  std::cout << "AdamW: " << check::symmetry_error<Embedding>(AdamW{}, gradients) << '\n'
            << "its average: " << error << '\n';

  Optimizer<FrameAveraged<Embedding, AdamW>, double> optimizer(tokens, width, {.learning_rate = 0.02},
                                                               averaged);
  Matrix<double> weights = Matrix<double>::Zero(tokens, width);
  optimizer.step(weights, gradients.front());
  std::cout << "one step: " << optimizer.state().report << '\n';
  return error.worst < 1e-8 && std::abs(averaged_change) < 1e-6 && std::abs(plain_change) > 1e-3 ? 0 : 1;
}
