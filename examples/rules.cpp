// SPDX-License-Identifier: Apache-2.0
// Every rule in a loop of two lines, beside its formula written out: docs/rules.md. Both train from the same
// weights on the same gradients, in double, and must agree.
#include <symopt/symopt.hpp>

#include <Eigen/SVD>

#include <cmath>
#include <iostream>
#include <random>

using namespace symopt;
using Block = Matrix<double>;

namespace {

constexpr Index rows = 8, cols = 6;

/// Weights, and the gradients that a backward pass would fill.
struct Model {
  Block weights{rows, cols}, gradient{rows, cols};
  int steps = 0;
  std::mt19937_64 random{1};

  Model() { weights = gaussian<double>({rows, cols}, random); }
  /// The gradient of the next step; false after the last one.
  bool backward() {
    gradient = gaussian<double>({rows, cols}, random);
    return ++steps <= 6;
  }
};

// The maps as formulas.
Block P(const Block& m) {
  return m.rowwise() - m.colwise().mean();
}
Block row_norm(const Block& m) {
  Block u = m;
  for (Index i = 0; i < rows; ++i) u.row(i) = m.row(i) / (m.row(i).norm() + 1e-8);
  return u;
}
Block column_norm(const Block& m) {
  Block u = m;
  for (Index j = 0; j < cols; ++j) u.col(j) = m.col(j) / (m.col(j).norm() + 1e-8);
  return u;
}
Block polar_factor(const Block& m) {
  const Eigen::JacobiSVD<Block> svd(m, Eigen::ComputeThinU | Eigen::ComputeThinV);
  return svd.matrixU() * svd.matrixV().transpose();
}
double product(const Block& a, const Block& b) {
  return (a.array() * b.array()).sum();
}

/// The step that all maps share: an average of gradients, decay, and a step along U of the average.
template <class U>
Block by_formula(double rate, double s, U u, double beta = 0.95, double decay = 0) {
  Model model;
  Block M = Block::Zero(rows, cols);
  while (model.backward()) {
    M = beta * M + (1 - beta) * model.gradient;
    model.weights = model.weights - rate * decay * model.weights - rate * s * u(M);
  }
  return model.weights;
}

/// Adam with means of squares: mean(X) has at each place the mean of X over what shares a second moment.
template <class Projection, class Mean>
Block adam_by_formula(double rate, double beta2, Projection p, Mean mean) {
  const double beta1 = 0.9, eps = 1e-8;
  Model model;
  Block M = Block::Zero(rows, cols), v = Block::Zero(rows, cols);
  for (int t = 1; model.backward(); ++t) {
    const Block G = p(model.gradient);
    M = beta1 * M + (1 - beta1) * G;
    v = beta2 * v + (1 - beta2) * mean(G.array().square().matrix());
    const Block M_hat = M / (1 - std::pow(beta1, t)), v_hat = v / (1 - std::pow(beta2, t));
    model.weights -= rate * p((M_hat.array() / (v_hat.array().sqrt() + eps)).matrix());
  }
  return model.weights;
}

bool all_agree = true;

void compare(const char* name, const Block& trained, const Block& expected) {
  const bool agrees = (trained - expected).cwiseAbs().maxCoeff() < 1e-12;
  if (!agrees) std::cout << name << " is not its formula\n";
  all_agree = all_agree && agrees;
}

void options_of_a_step() {
  Model model;
  Optimizer<Update<Embedding>, double> optimizer(rows, cols,
                                                 {.learning_rate = 1e-3,
                                                  .momentum = 0.9,
                                                  .momentum_convention = MomentumConvention::heavy_ball,
                                                  .nesterov = true,
                                                  .weight_decay = 0.1,
                                                  .scale = Scale::match_rms});
  while (model.backward()) optimizer.step(model.weights, model.gradient);

  Model expected;
  Block M = Block::Zero(rows, cols);
  while (expected.backward()) {
    M = 0.9 * M + expected.gradient;
    const Block M_hat = 0.9 * M + expected.gradient;
    expected.weights = (1 - 1e-3 * 0.1) * expected.weights - 1e-3 * 0.2 * std::sqrt(cols) * row_norm(M_hat);
  }
  compare("a step with all options", model.weights, expected.weights);
}

void embedding() {
  Model model;
  Optimizer<Update<Embedding>, double> optimizer(rows, cols, {.learning_rate = 0.02});
  while (model.backward()) optimizer.step(model.weights, model.gradient);
  compare("Embedding", model.weights, by_formula(0.02, 1, row_norm));
}

void head() {
  Model model;
  Optimizer<Update<LmHead>, double> optimizer(rows, cols, {.learning_rate = 0.02});
  while (model.backward()) optimizer.step(model.weights, model.gradient);
  compare("LmHead", model.weights, by_formula(0.02, 1, [](const Block& M) { return P(row_norm(P(M))); }));
}

void swiglu_output() {
  Model model;
  Optimizer<Update<SwigluOutput>, double> optimizer(rows, cols, {.learning_rate = 0.02});
  while (model.backward()) optimizer.step(model.weights, model.gradient);
  compare("SwigluOutput", model.weights, by_formula(0.02, 1, column_norm));
}

void hidden_matrix() {
  Model model;
  Optimizer<Update<HiddenMatrix, Spectral<polar::Exact>>, double> optimizer(
      rows, cols, {.learning_rate = 0.02, .weight_decay = 0.1, .scale = Scale::match_rms});
  while (model.backward()) optimizer.step(model.weights, model.gradient);
  compare("HiddenMatrix", model.weights,
          by_formula(0.02, 0.2 * std::sqrt(std::max(rows, cols)), polar_factor, 0.95, 0.1));
}

void heads() {
  Model model;
  using Heads = Product<HeadRotations<Side::left, 4>, RightOrthogonal>;
  using Rule = Update<Heads, HeadSpectral<Side::left, 4, polar::Exact>>;
  Optimizer<Rule, double> optimizer(rows, cols, {.learning_rate = 0.02});
  while (model.backward()) optimizer.step(model.weights, model.gradient);
  compare("heads", model.weights, by_formula(0.02, 1, [](const Block& M) {
            Block u = M;
            u.topRows(4) = polar_factor(M.topRows(4));
            u.bottomRows(4) = polar_factor(M.bottomRows(4));
            return u;
          }));
}

void both_sides_permuted() {
  Model model;
  Optimizer<Update<Product<RowPermutation, ColumnPermutation>>, double> optimizer(rows, cols,
                                                                                  {.learning_rate = 0.02});
  while (model.backward()) optimizer.step(model.weights, model.gradient);
  compare("Sign", model.weights, by_formula(0.02, 1, [](const Block& M) { return Block(M.array().sign()); }));
}

void gradient_descent() {
  Model model;
  Optimizer<Update<Trivial>, double> optimizer(rows, cols, {.learning_rate = 0.02, .momentum = 0});
  while (model.backward()) optimizer.step(model.weights, model.gradient);
  compare("Trivial", model.weights,
          by_formula(
              0.02, 1, [](const Block& M) { return M; }, 0));
}

void shared_shift() {
  Model model;
  Optimizer<Update<SharedShift>, double> optimizer(rows, cols, {.learning_rate = 0.02});
  while (model.backward()) optimizer.step(model.weights, model.gradient);
  compare("SharedShift", model.weights, by_formula(0.02, 1, P));
}

void frobenius_norm() {
  Model model;
  Optimizer<Update<HiddenMatrix, FrobeniusNorm>, double> optimizer(rows, cols, {.learning_rate = 0.02});
  while (model.backward()) optimizer.step(model.weights, model.gradient);
  compare("FrobeniusNorm", model.weights,
          by_formula(0.02, 1, [](const Block& M) { return Block(M / M.norm()); }));
}

void hybrid() {
  Model model;
  using Hybrid = Then<RowNorm, Spectral<polar::Exact>>;
  Optimizer<Update<LmHead, Hybrid>, double> optimizer(rows, cols, {.learning_rate = 0.02});
  while (model.backward()) optimizer.step(model.weights, model.gradient);
  compare("Then", model.weights,
          by_formula(0.02, 1, [](const Block& M) { return P(polar_factor(P(row_norm(P(M))))); }));
}

void dual_norm() {
  Model model;
  using PolarGrad = DualNorm<Spectral<polar::Exact>>;
  Optimizer<Update<HiddenMatrix, PolarGrad>, double> optimizer(rows, cols, {.learning_rate = 0.02});
  while (model.backward()) optimizer.step(model.weights, model.gradient);
  compare("DualNorm", model.weights, by_formula(0.02, 1, [](const Block& M) {
            const Block N = polar_factor(M);
            return Block(product(M, N) * N);
          }));
}

void second_moments() {
  const auto same = [](const Block& X) { return X; };
  const auto over_rows = [](const Block& X) { return Block(X.rowwise().mean().replicate(1, cols)); };
  const auto over_columns = [](const Block& X) { return Block(X.colwise().mean().replicate(rows, 1)); };
  const auto over_all = [](const Block& X) { return Block(Block::Constant(rows, cols, X.mean())); };
  {
    Model model;
    Optimizer<Adaptive<LmHead>, double> optimizer(rows, cols, {.learning_rate = 1e-3});
    while (model.backward()) optimizer.step(model.weights, model.gradient);
    compare("Adaptive<LmHead>", model.weights, adam_by_formula(1e-3, 0.99, P, over_rows));
  }
  const auto train = [](auto optimizer) {
    Model model;
    while (model.backward()) optimizer.step(model.weights, model.gradient);
    return model.weights;
  };
  const OptimizerOptions options{.learning_rate = 1e-3};
  compare("Adaptive<Embedding>", train(Optimizer<Adaptive<Embedding>, double>(rows, cols, options)),
          adam_by_formula(1e-3, 0.99, same, over_rows));
  compare("Adaptive<SwigluOutput>", train(Optimizer<Adaptive<SwigluOutput>, double>(rows, cols, options)),
          adam_by_formula(1e-3, 0.99, same, over_columns));
  compare("moments::Block",
          train(Optimizer<Adaptive<HiddenMatrix, moments::Block>, double>(rows, cols, options)),
          adam_by_formula(1e-3, 0.99, same, over_all));
  compare("Adaptive<Trivial>", train(Optimizer<Adaptive<Trivial>, double>(rows, cols, options)),
          adam_by_formula(1e-3, 0.99, same, same));
}

void adamw() {
  Model model;
  Optimizer<AdamW, double> optimizer(rows, cols, {.learning_rate = 1e-3});
  while (model.backward()) optimizer.step(model.weights, model.gradient);
  const auto same = [](const Block& X) { return X; };
  compare("AdamW", model.weights, adam_by_formula(1e-3, 0.999, same, same));
}

}  // namespace

int main() {
  options_of_a_step();
  embedding();
  head();
  swiglu_output();
  hidden_matrix();
  heads();
  both_sides_permuted();
  gradient_descent();
  shared_shift();
  frobenius_norm();
  hybrid();
  dual_norm();
  second_moments();
  adamw();
  std::cout << (all_agree ? "every rule is its formula\n" : "");
  return all_agree ? 0 : 1;
}
