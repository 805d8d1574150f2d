// SPDX-License-Identifier: Apache-2.0
// A program that sees only the public contract.
#include <symopt/symopt.hpp>

#include <cmath>

double norm_of_step(const symopt::Matrix<float>& gradient);

int main() {
  using namespace symopt;
  static_assert(SymmetryGroup<LmHead> && is_subgroup_v<Embedding, LmHead>);
  static_assert(Admissible<RowNorm, Embedding> && !Admissible<ColumnNorm, Embedding>);

  Matrix<float> weights = Matrix<float>::Ones(4, 3);
  Matrix<float> gradient(4, 3);
  gradient << 3, 0, 4, 0, 2, 0, 1, 2, 2, 5, 0, 0;
  Optimizer<Update<Embedding>> optimizer(4, 3, {.learning_rate = 0.5});
  const StepReport report = optimizer.step(weights, gradient);
  optimizer.set_learning_rate(0.4);

  const Update<LmHead> update(RowNorm{.eps = 1e-6});
  const Matrix<float> direction = update(gradient);
  const bool horizontal = direction.colwise().sum().norm() < 1e-5F;
  const bool moved = std::abs(weights(0, 0) - 0.7F) < 1e-5F && std::abs(weights(1, 1) - 0.5F) < 1e-5F;
  const bool linked = std::abs(norm_of_step(gradient) - 2.0) < 1e-5;
  return report.applied && moved && horizontal && linked ? 0 : 1;
}
