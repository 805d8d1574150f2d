// SPDX-License-Identifier: Apache-2.0
// One parameter of every kind that docs/which-update.md speaks of, in one stack; the plan shows what each
// gets.
#include <symopt/symopt.hpp>

#include <algorithm>
#include <cmath>
#include <iostream>
#include <string>
#include <vector>

using namespace symopt;

namespace {

// A head or router whose loss sees the shift (z-loss, soft-cap, sigmoid): the same group without it.
struct SeenShift : Product<RowPermutation, RightOrthogonal> {};
// Learned positions: they have an order, so no rows are exchanged; the width may be rotated.
using Positions = RightOrthogonal;
// Depthwise kernels: channels may change places, the offsets within a kernel may not.
using Depthwise = RowPermutation;

// What the page says of the groups.
template <class Group, class Normalization>
constexpr bool derives = std::same_as<default_normalization_t<Group>, Normalization>;
template <class Group>
constexpr bool projects = !horizontal_projection_t<Group>::is_identity;
static_assert(derives<HiddenMatrix, Spectral<>>);
static_assert(derives<Embedding, RowNorm> && derives<TiedEmbedding, RowNorm> &&
              derives<SwigluInput, RowNorm>);
static_assert(derives<SwigluOutput, ColumnNorm>);
static_assert(derives<LmHead, RowNorm> && projects<LmHead> && derives<Router, RowNorm> && projects<Router>);
static_assert(derives<SeenShift, RowNorm> && !projects<SeenShift> && !projects<TiedEmbedding>);
static_assert(derives<Positions, RightSpectral<>> && Admissible<RowNorm, Positions>);
static_assert(derives<Depthwise, RowNorm>);
// Instead of the default: the polar factor and the hybrids everywhere, a row norm not for hidden matrices.
using Hybrid = Then<RowNorm, Spectral<>>;
static_assert(Admissible<Spectral<>, Embedding> && Admissible<Hybrid, Embedding>);
static_assert(Admissible<Spectral<>, LmHead> && Admissible<Hybrid, LmHead>);
static_assert(Admissible<Spectral<>, SwigluOutput> && Admissible<Then<ColumnNorm, Spectral<>>, SwigluOutput>);
static_assert(!Admissible<RowNorm, HiddenMatrix> && !Admissible<AdamW, Embedding>);

/// A tensor and its gradient, as a trainer owns them.
struct Tensor {
  std::string name;
  std::vector<Index> shape;
  std::vector<float> weights{}, gradient{};
};

}  // namespace

int main() {
  const Index vocabulary = 50, width = 16, neurons = 32, experts = 4, heads = 4;
  std::vector<Tensor> model{{"embedding", {vocabulary, width}},
                            {"positions", {64, width}},
                            {"attention.query", {width, width}},
                            {"attention.key_value", {2 * width, width}},
                            {"attention.output", {width, width}},
                            {"mlp.gate", {neurons, width}},
                            {"mlp.down", {width, neurons}},
                            {"moe.router", {experts, width}},
                            {"moe.sigmoid_router", {experts, width}},
                            {"moe.gate_up", {experts, 2 * neurons, width}},
                            {"moe.down", {experts, width, neurons}},
                            {"convolution", {width, width, 3, 3}},
                            {"depthwise", {width, 1, 3, 3}},
                            {"norm.gain", {width}},
                            {"head", {vocabulary, width}}};
  std::vector<NamedTensor<float>> parameters;
  for (Tensor& tensor : model) {
    Index size = 1;
    for (const Index extent : tensor.shape) size *= extent;
    tensor.weights.assign(static_cast<std::size_t>(size), 0.1F);
    for (Index i = 0; i < size; ++i) tensor.gradient.push_back(std::sin(static_cast<float>(i + 1)));
    parameters.push_back({tensor.name, TensorView<float>(tensor.weights.data(), tensor.shape),
                          TensorView<const float>(tensor.gradient.data(), tensor.shape)});
  }

  const Layout pairs = layout::gate_up(GateUp::concatenated, Neurons::paired);
  Routing routing;
  routing.add("embedding", role<Embedding>());
  routing.add("positions", role<Update<Positions, RowNorm>>());
  routing.add("attention.query", role<HiddenMatrix>(layout::row_heads(heads)));
  routing.add("attention.key_value", role<HiddenMatrix>(layout::row_heads(2 * heads)));
  routing.add("attention.output", role<HiddenMatrix>(layout::column_heads(heads)));
  routing.add("mlp.gate", role<SwigluInput>());
  routing.add("mlp.down", role<SwigluOutput>());
  routing.add("moe.router", role<Router>());
  routing.add("moe.sigmoid_router", role<SeenShift>());
  routing.add("moe.gate_up", role<SwigluInput>(layout::experts(pairs)));
  routing.add("moe.down", role<SwigluOutput>(layout::experts()));
  routing.add("convolution", role<HiddenMatrix>(layout::as_matrix()));
  routing.add("depthwise", role<Depthwise>(layout::as_matrix()));
  routing.add("head", role<LmHead>());

  LayerwiseOptimizer stack({.learning_rate = 1e-3});
  stack.route(parameters, routing);
  std::cout << stack.plan();
  stack.step();
  // Every tensor has moved, and the head's columns sum to what they did: its mean row is still where it was.
  bool all_moved = true;
  for (const Tensor& tensor : model)
    all_moved = all_moved && std::ranges::any_of(tensor.weights, [](float w) { return w != 0.1F; });
  const Eigen::Map<const Matrix<float>> head(model.back().weights.data(), vocabulary, width);
  const bool horizontal = ((head.colwise().mean().array() - 0.1F).abs() < 1e-6F).all();
  return all_moved && horizontal ? 0 : 1;
}
