// SPDX-License-Identifier: Apache-2.0
// Optimizers that others ship, in symopt's words, with their own defaults. Each is compared with the formulas
// that the original states, written out here, over some steps; docs/coming-from.md quotes the settings.
#include <symopt/symopt.hpp>

#include <algorithm>
#include <cmath>
#include <iostream>
#include <random>

using namespace symopt;
using Block = Matrix<double>;

namespace {

/// Five steps of the odd quintic (3.4445, -4.7750, 2.0315) on X / divisor.
Block newton_schulz(const Block& m, double divisor) {
  Block x = m / divisor;
  for (int step = 0; step < 5; ++step) {
    const Block gram = x * x.transpose();
    x = 3.4445 * x + (-4.7750 * gram + 2.0315 * gram * gram) * x;
  }
  return x;
}

Block polar_factor(const Block& m) {
  const Eigen::JacobiSVD<Block> svd(m, Eigen::ComputeThinU | Eigen::ComputeThinV);
  return svd.matrixU() * svd.matrixV().transpose();
}

Block rows_normalized(const Block& m) {
  return m.array().colwise() / (m.rowwise().norm().array() + 1e-8);
}

/// A few gradients of a fixed seed; the weights of both sides start equal and must stay so.
template <class Optimizer>
bool agrees(const char* name, Optimizer optimizer, auto original) {
  std::mt19937_64 engine(7);
  std::normal_distribution<double> normal;
  const auto draw = [&] {
    return Block(Block::NullaryExpr(optimizer.shape().rows, optimizer.shape().cols,
                                    [&](Index, Index) { return normal(engine); }));
  };
  Block ours = draw(), theirs = ours, momentum = Block::Zero(ours.rows(), ours.cols());
  for (int step = 0; step < 5; ++step) {
    const Block gradient = draw();
    optimizer.step(ours, gradient);
    original(theirs, momentum, gradient);
  }
  const double error = (ours - theirs).norm() / theirs.norm();
  std::cout << name << ": off by " << error << '\n';
  return error <= 1e-12;
}

bool muon() {
  const Index rows = 12, cols = 8;
  using Muon = Spectral<polar::NewtonSchulz>;
  Optimizer<Update<HiddenMatrix, Muon>, double> optimizer(
      rows, cols, {.learning_rate = 0.02, .momentum = 0.95, .nesterov = true, .scale = Scale::aspect},
      Muon{{.eps = 1e-7}});
  return agrees("Muon", std::move(optimizer), [](Block& w, Block& m, const Block& g) {
    m = 0.95 * m + 0.05 * g;
    const Block nesterov = 0.95 * m + 0.05 * g;
    w -= 0.02 * std::sqrt(12.0 / 8.0) * newton_schulz(nesterov, nesterov.norm() + 1e-7);
  });
}

bool torch_muon() {
  const Index rows = 12, cols = 8;
  using Muon = Spectral<polar::NewtonSchulz>;
  Optimizer<Update<HiddenMatrix, Muon>, double> optimizer(rows, cols,
                                                          {.learning_rate = 1e-3,
                                                           .momentum = 0.95,
                                                           .nesterov = true,
                                                           .weight_decay = 0.1,
                                                           .scale = Scale::aspect});
  return agrees("torch.optim.Muon", std::move(optimizer), [](Block& w, Block& m, const Block& g) {
    m = 0.95 * m + 0.05 * g;
    const Block nesterov = 0.95 * m + 0.05 * g;
    w *= 1 - 1e-3 * 0.1;
    w -= 1e-3 * std::sqrt(12.0 / 8.0) * newton_schulz(nesterov, std::max(nesterov.norm(), 1e-7));
  });
}

bool scion() {
  const Index rows = 8, cols = 12;
  const double lr = 0.001, radius = 50;  // lr=..., scale=..., momentum=0.1, unconstrained=False
  using Lmo = Spectral<polar::NewtonSchulz>;
  Optimizer<Update<HiddenMatrix, Lmo>, double> optimizer(rows, cols,
                                                         {.learning_rate = lr * radius,
                                                          .momentum = 1 - 0.1,
                                                          .weight_decay = 1 / radius,
                                                          .scale = Scale::spectral},
                                                         Lmo{{.eps = 1e-7}});
  return agrees("Scion, Spectral", std::move(optimizer), [&](Block& w, Block& m, const Block& g) {
    m = 0.9 * m + 0.1 * g;
    w = (1 - lr) * w - lr * radius * std::sqrt(8.0 / 12.0) * newton_schulz(m, m.norm() + 1e-7);
  });
}

bool scion_head() {
  const Index rows = 12, cols = 8;
  const double lr = 0.001, radius = 3000;
  Optimizer<Sign, double> optimizer(rows, cols,
                                    {.learning_rate = lr * radius / static_cast<double>(cols),
                                     .momentum = 1 - 0.1,
                                     .weight_decay = static_cast<double>(cols) / radius});
  return agrees("Scion, Sign", std::move(optimizer), [&](Block& w, Block& m, const Block& g) {
    m = 0.9 * m + 0.1 * g;
    w = (1 - lr) * w - lr * radius / 8 * m.cwiseSign();
  });
}

bool polar_grad() {
  const Index rows = 12, cols = 8;
  using PolarGrad = DualNorm<Spectral<polar::Exact>>;
  Optimizer<Update<HiddenMatrix, PolarGrad>, double> optimizer(rows, cols,
                                                               {.learning_rate = 0.02, .momentum = 0.95});
  return agrees("PolarGrad", std::move(optimizer), [](Block& w, Block& m, const Block& g) {
    m = 0.95 * m + 0.05 * g;
    const Block u = polar_factor(m);
    w -= 0.02 * m.cwiseProduct(u).sum() * u;
  });
}

bool paper() {
  const Index rows = 12, cols = 8;
  Optimizer<Update<Embedding>, double> embedding(rows, cols, {.learning_rate = 0.5});  // RowNormM
  Optimizer<Update<LmHead>, double> head(rows, cols, {.learning_rate = 5e-3});         // center_rows=True
  const auto row_norm = [](double rate, bool centred) {
    return [=](Block& w, Block& m, const Block& g) {
      m = 0.95 * m + 0.05 * g;
      const auto centre = [&](const Block& x) -> Block {
        if (!centred) return x;
        return x.rowwise() - x.colwise().mean();
      };
      w -= rate * centre(rows_normalized(centre(m)));
    };
  };
  const bool embeds = agrees("RowNormM", std::move(embedding), row_norm(0.5, false));
  return agrees("RowNormM, center_rows", std::move(head), row_norm(5e-3, true)) && embeds;
}

}  // namespace

int main() {
  const bool all[] = {muon(), torch_muon(), scion(), scion_head(), polar_grad(), paper()};
  return std::ranges::all_of(all, [](bool agreed) { return agreed; }) ? 0 : 1;
}
