// SPDX-License-Identifier: Apache-2.0
// The usual mistakes that only a running program can see, and what each of them says: docs/errors.md.
#include <symopt/symopt.hpp>

#include <iostream>
#include <limits>

using namespace symopt;

namespace {

int silent = 0;

/// Prints what a mistake says.
template <class Mistake>
void provoke(const char* what, Mistake mistake) {
  std::cout << what << '\n';
  try {
    mistake();
    std::cout << "nothing\n\n";
    ++silent;
  } catch (const Error& error) {
    std::cout << error.what() << "\n\n";
  }
}

/// Halves what it gets, and says nothing of itself.
struct Halve {
  Matrix<float> operator()(const Matrix<float>& m) const { return m / 2; }
};

}  // namespace

int main() {
  Matrix<float> weights = Matrix<float>::Ones(64, 32), gradient = Matrix<float>::Ones(64, 32);
  Matrix<float> broken = gradient;
  broken(0, 0) = std::numeric_limits<float>::quiet_NaN();
  const NamedTensor<float> head{"lm_head.weight", TensorView<float>(weights.data(), {64, 32})};
  const NamedTensor<float> layer{"model.layers.0.up.weight", TensorView<float>(gradient.data(), {64, 32})};

  provoke("shapes", [&] {
    Optimizer<Update<LmHead>> optimizer(32, 64);
    optimizer.step(weights, gradient);
  });
  provoke("NaN", [&] {
    LayerwiseOptimizer stack;
    stack.add<LmHead>("head", weights, broken);
    stack.step();
  });
  provoke("momentum", [&] { Optimizer<Update<LmHead>> optimizer(64, 32, {.momentum = 1}); });
  provoke("stride", [&] {
    Optimizer<Update<LmHead>> optimizer(32, 32);
    Eigen::Map<Matrix<float>, 0, Eigen::Stride<Eigen::Dynamic, 2>> every_other(weights.data(), 32, 32,
                                                                               {64, 2});
    optimizer.step(every_other, Matrix<float>::Ones(32, 32));
  });
  provoke("overlap", [&] {
    LayerwiseOptimizer stack;
    stack.add<Embedding>("embedding", weights, gradient);
    stack.add<LmHead>("head", weights, gradient);
  });
  provoke("no pattern", [&] {
    LayerwiseOptimizer stack;
    Routing routing;
    routing.add("lm_head.weight", role<LmHead>());
    routing.add("model.*.up.weight", role<SwigluInput>());
    stack.route({head, layer}, routing);
  });
  provoke("two patterns", [&] {
    LayerwiseOptimizer stack;
    Routing routing;
    routing.add("lm_head.*", role<LmHead>());
    routing.add("*.weight", role<HiddenMatrix>());
    stack.route({head}, routing);
  });
  provoke("dimensions", [&] {
    LayerwiseOptimizer stack;
    stack.add<HiddenMatrix>("conv1", TensorView<float>(weights.data(), {16, 8, 4, 4}), std::nullopt);
  });
  provoke("heads", [&] {
    LayerwiseOptimizer stack;
    stack.add<HiddenMatrix>("q", weights, gradient, layout::row_heads(6));
  });
  provoke("size", [&] {
    LayerwiseOptimizer stack;
    stack.add<Halve>("hidden", weights, gradient);
  });
  provoke("name", [&] {
    LayerwiseOptimizer stack;
    stack.add<LmHead>("head", weights, gradient);
    stack.set_learning_rate("haed", 0.1);
  });
  provoke("eps", [&] { Optimizer<AdamW> optimizer(64, 32, {}, AdamW{.eps = 0}); });
  return silent;
}
