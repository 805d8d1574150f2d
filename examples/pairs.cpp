// SPDX-License-Identifier: Apache-2.0
// Pairs of blocks of which only the product matters: the code of docs/pairs.md.
#include <symopt/check.hpp>
#include <symopt/symopt.hpp>

#include <iostream>

using namespace symopt;

/// Block diagonal matrices of 2 x 2: an algebra of your own is a projection and a factor.
struct SquareBlocks {
  template <class Scalar>
  static void project(MatrixRef<Scalar> square) {
    for (Index i = 0; i < square.rows(); ++i)
      for (Index j = 0; j < square.cols(); ++j)
        if (i / 2 != j / 2) square(i, j) = 0;
  }
  template <class Scalar>
  static bool factor(MatrixRef<Scalar> positive) {  // F in the algebra with F^T F = positive
    return algebra::Full::factor<Scalar>(positive);
  }
};
struct PairedFeatures : Gauge<SquareBlocks, LeftOrthogonal, LeftOrthogonal> {};

/// Query and key where planes pair the halves of a head, as Llama's code has them.
struct LlamaQueryKey : Gauge<algebra::Planes<algebra::Pairing::halves>, LeftOrthogonal, LeftOrthogonal> {};

/// The largest difference between the products of two LoRA pairs, over that of the first.
double distance(const Matrix<double>& up, const Matrix<double>& down, const Matrix<double>& up2,
                const Matrix<double>& down2) {
  return (up * down - up2 * down2).norm() / (up * down).norm();
}

int main() {
  constexpr Index out = 64, in = 96, r = 8;
  const Matrix<double> target = Matrix<double>::Random(out, in);

  // The map: momenta in, directions out.
  Matrix<double> up = Matrix<double>::Zero(out, r), down = Matrix<double>::Random(r, in);  // LoRA's start
  Matrix<double> d_up = -target * down.transpose(), d_down = Matrix<double>::Zero(r, in);
  PairUpdate<LoraPair> update;
  Matrix<double> u_up = d_up, u_down = d_down;
  update(up, down.transpose(), d_up, d_down.transpose(), u_up, u_down.transpose());

  // An optimizer of one pair. A is the up matrix [out, r], B the down matrix, which is stored as [r, in].
  PairOptimizer<PairUpdate<LoraPair>, double> optimizer(out, in, r, {.learning_rate = 1});
  // A second training from another description of the same model: the rank's basis is another one.
  const Matrix<double> g = Matrix<double>::Identity(r, r) * 3 + Matrix<double>::Random(r, r);
  Matrix<double> up2 = up * g, down2 = g.inverse() * down;
  PairOptimizer<PairUpdate<LoraPair>, double> optimizer2(out, in, r, {.learning_rate = 1});
  double largest = 0;
  for (int step = 0; step < 60; ++step) {
    const auto train = [&target](auto& by, auto& a, auto& b) {
      const Matrix<double> error = a * b - target;  // the gradient of half its square, by the product
      const Matrix<double> d_a = error * b.transpose(), d_b = a.transpose() * error;
      by.step(a, d_a, b.transpose(), d_b.transpose());
    };
    train(optimizer, up, down);
    train(optimizer2, up2, down2);
    largest = std::max(largest, distance(up, down, up2, down2));
  }
  std::cout << "the two trainings differ by at most " << (largest < 1e-9 ? "rounding" : "more than rounding")
            << '\n';

  // In a stack, beside everything else.
  Matrix<float> q = Matrix<float>::Random(64, 48), k = Matrix<float>::Random(32, 48);  // 4 and 2 heads of 16
  Matrix<float> d_q = q, d_k = k, lora_b = Matrix<float>::Zero(64, 8), lora_a = Matrix<float>::Random(8, 48);
  Matrix<float> d_lora_b = Matrix<float>::Random(64, 8), d_lora_a = Matrix<float>::Random(8, 48);
  LayerwiseOptimizer stack({.learning_rate = 1e-3, .weight_decay = 0.1});
  stack.add_pair<LoraPair>("q_proj", lora_b, d_lora_b, lora_a, d_lora_a, {.b = layout::transposed()});
  stack.add_pair<QueryKey>("attention", q, d_q, k, d_k,
                           {.a = layout::row_heads(4, layout::transposed()),    // two queries
                            .b = layout::row_heads(2, layout::transposed())});  // for each key
  stack.step();
  std::cout << stack.plan();

  // By name, for a whole model.
  Routing routing;
  routing.add_pair("**.lora_B.weight", "**.lora_A.weight", pair_role<LoraPair>({.b = layout::transposed()}));

  // The check, with elements that are not orthogonal.
  const check::CheckOptions options{.trials = 16, .shapes = {{9, 4}}};
  const auto honest = check::check_equivariance<PairedFeatures>(PairUpdate<PairedFeatures>(), options);
  const auto halves = check::check_equivariance<LlamaQueryKey>(PairUpdate<LlamaQueryKey>(), options);
  const auto liar = check::check_equivariance<LlamaQueryKey>(PairUpdate<QueryKey>(), options);
  return largest < 1e-9 && honest && halves && liar.verdict == check::Verdict::violated ? 0 : 1;
}
