// SPDX-License-Identifier: Apache-2.0
// Rules of your own: a normalization that claims its group and so may be named in an Update, and a
// stateful rule that runs in the optimizer as it is.
#include <symopt/symopt.hpp>

#include <iostream>
#include <random>

using namespace symopt;

/// X -> X / max |X_ij|. Renaming rows and columns and changing their signs commute with it; rotations
/// do not, so Update<HiddenMatrix, MaxAbs> does not compile.
struct MaxAbs {
  using largest_group = Product<SignedRowPermutation, SignedColumnPermutation>;

  template <class Derived>
  auto operator()(const Eigen::MatrixBase<Derived>& block) const {
    const auto largest = block.cwiseAbs().maxCoeff();
    return (block / (largest > 0 ? largest : 1)).eval();
  }
};
static_assert(Normalization<MaxAbs>);
static_assert(Admissible<MaxAbs, Product<RowPermutation, ColumnPermutation>>);
static_assert(!Admissible<MaxAbs, HiddenMatrix>);

/// Lion (arXiv 2302.06675): the sign of a blend of momentum and gradient; it owns its momentum.
struct Lion {
  double beta1 = 0.9;
  double beta2 = 0.99;
  using largest_group = Product<SignedRowPermutation, SignedColumnPermutation>;

  template <class Scalar>
  struct State {
    explicit State(Shape shape) : momentum(Matrix<Scalar>::Zero(shape.rows, shape.cols)) {}
    Matrix<Scalar> momentum;
  };

  template <class Weights, class Gradient, class Scalar, class Direction>
  void operator()(const Weights&, const Gradient& gradient, State<Scalar>& state,
                  Direction& direction) const {
    direction = (Scalar(beta1) * state.momentum + Scalar(1 - beta1) * gradient).cwiseSign();
    state.momentum = Scalar(beta2) * state.momentum + Scalar(1 - beta2) * gradient;
  }
};

/// The distance from `target` after 300 steps on |W - target|^2 / 2, whose gradient is W - target.
template <class Rule>
float distance_after_training(const char* name) {
  std::mt19937_64 random(3);
  const Matrix<float> target = gaussian<float>({6, 4}, random);
  Matrix<float> weights = Matrix<float>::Zero(6, 4);
  Optimizer<Rule> optimizer(6, 4, {.learning_rate = 0.02});
  const ConstantThenLinear schedule{.total_steps = 300};
  for (int step = 0; step < 300; ++step) {
    optimizer.set_schedule_factor(schedule(step));
    optimizer.step(weights, weights - target);
  }
  const float distance = (weights - target).norm() / target.norm();
  std::cout << name << ": relative distance " << distance << '\n';
  return distance;
}

int main() {
  const float with_update =
      distance_after_training<Update<Product<RowPermutation, ColumnPermutation, SharedShift>, MaxAbs>>(
          "P o MaxAbs o P");
  const float with_map = distance_after_training<MaxAbs>("MaxAbs");
  const float with_lion = distance_after_training<Lion>("Lion");
  // The projected rule leaves the mean row alone, by design: it cannot reach a target that has one.
  return with_update > 0.05F && with_map < 0.05F && with_lion < 0.05F ? 0 : 1;
}
