// SPDX-License-Identifier: Apache-2.0
// A whole model and its trainings, checked: which symmetries does it have, and which optimizers keep them?
#include <symopt/check.hpp>
#include <symopt/group/algebra.hpp>
#include <symopt/symopt.hpp>

#include <iostream>
#include <random>
#include <vector>

using namespace symopt;
using namespace symopt::check;
using Block = Matrix<float>;

/// second * relu(first * input), fitted to targets: a network by hand, with its gradients.
struct Network {
  static constexpr Index inputs = 5, hidden = 8, outputs = 3, samples = 40;

  std::mt19937_64 random{7};
  Block input = gaussian<float>({samples, inputs}, random),
        target = gaussian<float>({samples, outputs}, random);
  Block first = gaussian<float>({hidden, inputs}, random),
        second = gaussian<float>({outputs, hidden}, random);
  Block d_first = 0 * first, d_second = 0 * second;

  double loss_and_gradient() {
    const Block features = (input * first.transpose()).cwiseMax(0.0F);
    const Block errors = (features * second.transpose() - target) / float(samples);
    const Block active = (features.array() > 0).cast<float>().matrix();
    d_second = errors.transpose() * features;
    d_first = (errors * second).cwiseProduct(active).transpose() * input;
    return 0.5 * double(samples) * double(errors.squaredNorm());
  }
};

int main() {
  Network network;
  const std::vector<NamedTensor<float>> parameters{
      {"first", TensorView<float>(network.first), TensorView<const float>(network.d_first)},
      {"second", TensorView<float>(network.second), TensorView<const float>(network.d_second)}};
  const Model<float> model(parameters, [&] { return network.loss_and_gradient(); });

  // Who moves how: the order of the neurons, their scales, and a basis of the inputs, with which the data
  // turn.
  const ModelSymmetry order =
      symmetry("order of neurons").rows("first").columns("second").by<Permutation>(Network::hidden);
  const ModelSymmetry scales = symmetry("scales of neurons")
                                   .rows("first")
                                   .columns("second")
                                   .by_positive<algebra::Diagonal>(Network::hidden);
  const Block input = network.input;
  const ModelSymmetry basis = symmetry("basis of inputs")
                                  .columns("first")
                                  .by<Orthogonal>(Network::inputs)
                                  .data([&](const ModelElement& g) {
                                    network.input =
                                        g(input.cast<double>().transpose()).transpose().cast<float>();
                                  });

  // Two optimizers of the model: each call makes a new one.
  const auto derived = [](const std::vector<NamedTensor<float>>& tensors) {
    LayerwiseOptimizer stack({.learning_rate = 1e-2});
    for (const auto& tensor : tensors) stack.add<HiddenMatrix>(tensor.name, tensor.weights, *tensor.gradient);
    return stack;
  };
  const auto adamw = [](const std::vector<NamedTensor<float>>& tensors) {
    LayerwiseOptimizer stack;
    for (const auto& tensor : tensors)
      stack.add<AdamW>(tensor.name, tensor.weights, *tensor.gradient, {.learning_rate = 1e-2});
    return stack;
  };

  const ModelReport report =
      check_model(model, {order, basis, scales}, {{"derived", derived}, {"AdamW", adamw}});
  for (const SymmetryReport& symmetry : report.symmetries)
    for (const TwinReport& twins : symmetry.trainings)
      std::cout << symmetry.name << ", " << twins.optimizer << ": " << to_string(twins.verdict) << '\n'
                << (twins.reason.empty() ? "" : "  " + twins.reason + '\n');

  // A list that leaves somebody out.
  const ModelReport wrong =
      check_model(model, {symmetry("order").rows("first").by<Permutation>(Network::hidden)});
  std::cout << wrong.symmetries.front().mend << '\n';

  const auto verdict = [&](int symmetry, int optimizer) {
    return report.symmetries[std::size_t(symmetry)].trainings[std::size_t(optimizer)].verdict;
  };
  const bool is_as_claimed = verdict(0, 0) == Verdict::holds && verdict(0, 1) == Verdict::holds &&
                             verdict(1, 0) == Verdict::holds && verdict(1, 1) == Verdict::violated &&
                             verdict(2, 0) == Verdict::violated && verdict(2, 1) == Verdict::violated;
  return is_as_claimed && wrong.verdict == Verdict::violated ? 0 : 1;
}
