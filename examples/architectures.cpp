// SPDX-License-Identifier: Apache-2.0
// The routings of five known models, by the names that their weights have in PyTorch, torchvision and Hugging
// Face's transformers: docs/architectures.md. The sizes are small here; names, dimensions and layouts are the
// models' own.
#include <symopt/symopt.hpp>

#include <cmath>
#include <functional>
#include <iostream>
#include <numeric>
#include <string>
#include <vector>

using namespace symopt;

namespace {

struct Tensor {
  std::string name;
  std::vector<Index> shape;
};

constexpr Index d = 64, heads = 4, neurons = 4 * d;

// Positions have an order, so that no rows are exchanged; the width may be rotated.
using Positions = Update<RightOrthogonal, RowNorm>;

const std::vector<Tensor> mlp{{"0.weight", {128, 784}}, {"0.bias", {128}},       {"2.weight", {128, 128}},
                              {"2.bias", {128}},        {"4.weight", {10, 128}}, {"4.bias", {10}}};

Routing mlp_routing() {
  Routing routing;
  routing.add("0.weight", role<RowPermutation>());  // every input is a pixel of its own
  routing.add("2.weight", role<HiddenMatrix>());
  routing.add("4.weight", role<LmHead>());  // ends in a softmax
  return routing;
}

const std::vector<Tensor> resnet{{"conv1.weight", {16, 3, 7, 7}},
                                 {"bn1.weight", {16}},
                                 {"layer1.0.conv1.weight", {16, 16, 3, 3}},
                                 {"layer1.0.conv2.weight", {16, 16, 3, 3}},
                                 {"layer2.0.conv1.weight", {32, 16, 3, 3}},
                                 {"layer2.0.conv2.weight", {32, 32, 3, 3}},
                                 {"layer2.0.downsample.0.weight", {32, 16, 1, 1}},
                                 {"fc.weight", {10, 32}},
                                 {"fc.bias", {10}}};

Routing resnet_routing() {
  Routing routing;
  routing.add("conv1.weight", role<RowPermutation>(layout::as_matrix()));  // from pixels
  routing.add("layer*.*.{conv?,downsample.0}.weight", role<HiddenMatrix>(layout::as_matrix()));
  routing.add("fc.weight", role<LmHead>());
  return routing;
}

const std::vector<Tensor> vit{{"vit.embeddings.cls_token", {1, 1, d}},
                              {"vit.embeddings.position_embeddings", {1, 197, d}},
                              {"vit.embeddings.patch_embeddings.projection.weight", {d, 3, 16, 16}},
                              {"vit.embeddings.patch_embeddings.projection.bias", {d}},
                              {"vit.encoder.layer.0.attention.attention.query.weight", {d, d}},
                              {"vit.encoder.layer.0.attention.attention.key.weight", {d, d}},
                              {"vit.encoder.layer.0.attention.attention.value.weight", {d, d}},
                              {"vit.encoder.layer.0.attention.output.dense.weight", {d, d}},
                              {"vit.encoder.layer.0.intermediate.dense.weight", {neurons, d}},
                              {"vit.encoder.layer.0.output.dense.weight", {d, neurons}},
                              {"vit.encoder.layer.0.layernorm_before.weight", {d}},
                              {"classifier.weight", {10, d}},
                              {"classifier.bias", {10}}};

Routing vit_routing() {
  Routing routing;
  routing.add("vit.embeddings.{cls_token,position_embeddings}", role<Positions>(layout::experts()));
  routing.add("vit.embeddings.patch_embeddings.projection.weight", role<LeftOrthogonal>(layout::as_matrix()));
  routing.add("vit.encoder.layer.*.attention.attention.{query,key,value}.weight",
              role<HiddenMatrix>(layout::row_heads(heads)));
  routing.add("vit.encoder.layer.*.attention.output.dense.weight",
              role<HiddenMatrix>(layout::column_heads(heads)));
  routing.add("vit.encoder.layer.*.intermediate.dense.weight", role<SwigluInput>());
  routing.add("vit.encoder.layer.*.output.dense.weight", role<SwigluOutput>());
  routing.add("classifier.weight", role<LmHead>());
  return routing;
}

const std::vector<Tensor> gpt2_tensors{
    {"transformer.wte.weight", {1000, d}},  // lm_head.weight is this memory, too
    {"transformer.wpe.weight", {128, d}},
    {"transformer.h.0.ln_1.weight", {d}},
    {"transformer.h.0.attn.c_attn.weight", {d, 3 * d}},
    {"transformer.h.0.attn.c_attn.bias", {3 * d}},
    {"transformer.h.0.attn.c_proj.weight", {d, d}},
    {"transformer.h.0.mlp.c_fc.weight", {d, neurons}},
    {"transformer.h.0.mlp.c_proj.weight", {neurons, d}}};

Routing gpt2_routing() {
  return gpt2(heads);
}

const std::vector<Tensor> llama_tensors{{"model.embed_tokens.weight", {1000, d}},
                                        {"model.layers.0.input_layernorm.weight", {d}},
                                        {"model.layers.0.self_attn.q_proj.weight", {d, d}},
                                        {"model.layers.0.self_attn.k_proj.weight", {d / 2, d}},
                                        {"model.layers.0.self_attn.v_proj.weight", {d / 2, d}},
                                        {"model.layers.0.self_attn.o_proj.weight", {d, d}},
                                        {"model.layers.0.mlp.gate_proj.weight", {neurons, d}},
                                        {"model.layers.0.mlp.up_proj.weight", {neurons, d}},
                                        {"model.layers.0.mlp.down_proj.weight", {d, neurons}},
                                        {"lm_head.weight", {1000, d}}};

Routing llama_routing() {
  return llama({.query = heads, .key_value = heads / 2}, Embeddings::untied, adaptive_roles<>());
}

/// Prints the plan of a model, takes a step, and tests whether that moved every tensor.
bool show(const char* title, const std::vector<Tensor>& tensors, const Routing& routing) {
  std::vector<std::vector<float>> weights, gradients;
  std::vector<NamedTensor<float>> parameters;
  for (const Tensor& tensor : tensors) {
    const Index size = std::accumulate(tensor.shape.begin(), tensor.shape.end(), Index{1}, std::multiplies{});
    weights.emplace_back(static_cast<std::size_t>(size), 0.1F);
    auto& gradient = gradients.emplace_back();
    for (Index i = 0; i < size; ++i) gradient.push_back(std::sin(static_cast<float>(i + 1)));
    parameters.push_back({tensor.name, TensorView<float>(weights.back().data(), tensor.shape),
                          TensorView<const float>(gradient.data(), tensor.shape)});
  }
  LayerwiseOptimizer optimizer({.learning_rate = 1e-3});
  optimizer.route(parameters, routing);
  std::cout << title << "\n" << optimizer.plan() << "\n";
  optimizer.step();
  bool all_moved = true;
  for (const auto& tensor : weights)
    all_moved = all_moved && tensor != std::vector<float>(tensor.size(), 0.1F);
  return all_moved;
}

}  // namespace

int main() {
  bool good = show("A perceptron", mlp, mlp_routing());
  good = show("A ResNet", resnet, resnet_routing()) && good;
  good = show("A vision transformer", vit, vit_routing()) && good;
  good = show("GPT-2", gpt2_tensors, gpt2_routing()) && good;
  good = show("Llama", llama_tensors, llama_routing()) && good;
  return good ? 0 : 1;
}
