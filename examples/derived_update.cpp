// SPDX-License-Identifier: Apache-2.0
// The map alone, and one block that steps.
#include <symopt/symopt.hpp>

using namespace symopt;

int main() {
  Matrix<float> head = Matrix<float>::Random(2048, 64), gradient = Matrix<float>::Random(2048, 64);

  Update<LmHead> update;  // P RowNorm(P M), derived from LmHead's symmetries: no state, any Eigen expression
  Matrix<float> direction = update(2 * gradient);
  bool horizontal = direction.colwise().sum().norm() < 1e-4F;  // softmax never sees the mean row

  // Update<LmHead, ColumnNorm> wrong;  error: this normalization is not equivariant under rotations
  //                                    of the columns (RightOrthogonal); see docs/derivation.md

  Optimizer<Update<LmHead>> optimizer(2048, 64, {.learning_rate = 0.02});
  optimizer.step(head, gradient);  // in place
  return horizontal ? 0 : 1;
}
