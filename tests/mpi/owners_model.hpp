// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "support/inputs.hpp"

#include <symopt/derive/dual_norm.hpp>
#include <symopt/derive/update.hpp>
#include <symopt/group/gauge.hpp>
#include <symopt/group/named_groups.hpp>
#include <symopt/normalization/sign.hpp>
#include <symopt/optimizer/adamw.hpp>
#include <symopt/optimizer/adaptive.hpp>
#include <symopt/stack/layerwise_optimizer.hpp>

#include <mpi.h>

#include <cstdint>
#include <cstring>
#include <map>
#include <string>
#include <utility>
#include <vector>

// A model with every kind of parameter, small but for two whose gradients take several messages, and one
// gradient of it for each rank and step.
namespace symopt_test {

using symopt::bfloat16;

inline int rank_of(MPI_Comm processes = MPI_COMM_WORLD) {
  int rank = 0;
  MPI_Comm_rank(processes, &rank);
  return rank;
}
inline int size_of(MPI_Comm processes = MPI_COMM_WORLD) {
  int size = 0;
  MPI_Comm_size(processes, &size);
  return size;
}

/// The floats of a gradient on some rank at some step.
inline void draw_gradient(std::vector<float>& gradient, std::size_t parameter, int rank, int step) {
  std::uint64_t x = 10000 * parameter + static_cast<std::uint64_t>(100 * rank + step);
  for (float& entry : gradient) {  // Knuth's linear congruences, which are quick without optimization too
    x = x * 6364136223846793005U + 1442695040888963407U;
    entry = static_cast<float>(x >> 40) / 0x1p23F - 1;
  }
}

struct MpiModel {
  struct Tensor {
    std::vector<float> weights, gradient;
    std::vector<bfloat16> copy, bf16_gradient;
    std::vector<std::uint16_t> low;
  };
  std::map<std::string, Tensor> tensors;

  /// Whose gradients in bfloat16 are floats: an average is no bfloat16.
  bool averages = false;

  explicit MpiModel(bool with_averages = false) : averages(with_averages) {
    std::size_t seed = 100;
    for (const auto& [name, size] : std::vector<std::pair<std::string, std::size_t>>{{"head", 24 * 10},
                                                                                     {"hidden", 12 * 10},
                                                                                     {"query", 12 * 8},
                                                                                     {"output", 8 * 12},
                                                                                     {"experts", 3 * 8 * 6},
                                                                                     {"down", 3 * 6 * 4},
                                                                                     {"norm", 10},
                                                                                     {"adaptive", 30 * 8},
                                                                                     {"split", 8 * 8},
                                                                                     {"rounded", 9 * 7},
                                                                                     {"lora.a", 8 * 2},
                                                                                     {"lora.b", 6 * 2},
                                                                                     {"dual", 6 * 5},
                                                                                     {"padded", 260 * 260},
                                                                                     {"embedding", 300 * 250},
                                                                                     {"frozen", 4 * 4}}) {
      Tensor& tensor = tensors[name];
      tensor.weights.resize(size);
      tensor.gradient.resize(size);
      draw_gradient(tensor.weights, seed++, 0, 0);
    }
    for (const char* name : {"adaptive", "split", "rounded"}) {
      Tensor& tensor = tensors[name];
      for (const float weight : tensor.weights) {
        std::uint32_t bits = 0;
        std::memcpy(&bits, &weight, sizeof bits);
        tensor.copy.emplace_back().value = static_cast<std::uint16_t>(bits >> 16);
        tensor.low.push_back(static_cast<std::uint16_t>(bits));
      }
    }
    tensors["adaptive"].bf16_gradient.resize(30 * 8);
  }

  symopt::TensorView<float> weights(const std::string& name, std::vector<Index> sizes,
                                    std::vector<Index> strides = {}) {
    float* const data = tensors[name].weights.data();
    if (strides.empty()) return {data, std::move(sizes)};
    return {data, std::move(sizes), std::move(strides)};
  }
  symopt::TensorView<const float> gradient(const std::string& name, std::vector<Index> sizes,
                                           std::vector<Index> strides = {}) {
    const float* const data = tensors[name].gradient.data();
    if (strides.empty()) return {data, std::move(sizes)};
    return {data, std::move(sizes), std::move(strides)};
  }

  /// Adds all parameters, to a stack of one process or of several.
  void add_to(auto& stack, bool with_pair = true) {
    using namespace symopt;
    const auto add = [&](const std::string& name, const Role& role, std::vector<Index> sizes) {
      stack.add(name, role, weights(name, sizes), gradient(name, sizes));
    };
    add("head", role<LmHead>(Layout{}, RowMask::first(21)), {24, 10});
    stack.add("hidden", role<HiddenMatrix>(), weights("hidden", {12, 10}, {1, 12}),
              gradient("hidden", {12, 10}));
    add("query", role<HiddenMatrix>(layout::row_heads(3)), {12, 8});
    add("output", role<HiddenMatrix>(layout::column_heads(2)), {8, 12});
    add("experts", role<SwigluInput>(layout::experts(layout::gate_up(GateUp::concatenated, Neurons::paired))),
        {3, 8, 6});
    add("down", role<SwigluOutput>(layout::experts()), {3, 6, 4});
    add("norm", role<AdamW>(), {10});
    Tensor& adaptive = tensors["adaptive"];
    Eigen::Map<Matrix<float>> adaptive_weights(adaptive.weights.data(), 30, 8);
    Eigen::Map<Matrix<bfloat16>> adaptive_copy(adaptive.copy.data(), 30, 8);
    if (averages) {
      stack.add("adaptive", role<Adaptive<Embedding>>(), with_copy(adaptive_weights, adaptive_copy),
                gradient("adaptive", {30, 8}));
    } else {
      stack.add("adaptive", role<Adaptive<Embedding>>(), with_copy(adaptive_weights, adaptive_copy),
                TensorView<const bfloat16>(adaptive.bf16_gradient.data(), {30, 8}));
    }
    Tensor& split = tensors["split"];
    Eigen::Map<Matrix<bfloat16>> high(split.copy.data(), 8, 8);
    Eigen::Map<Matrix<std::uint16_t>> low(split.low.data(), 8, 8);
    stack.add("split", role<HiddenMatrix>(), split_weights(high, low), gradient("split", {8, 8}));
    Eigen::Map<Matrix<bfloat16>> rounded(tensors["rounded"].copy.data(), 9, 7);
    stack.add("rounded", role<Embedding>(), stochastic(rounded, 7), gradient("rounded", {9, 7}));
    if (with_pair)
      stack.template add_pair<LoraPair>("lora", weights("lora.a", {8, 2}), gradient("lora.a", {8, 2}),
                                        weights("lora.b", {6, 2}), gradient("lora.b", {6, 2}));
    using Dual = Update<HiddenMatrix, DualNorm<Spectral<>>>;
    stack.add("dual", role<Dual>({.learning_rate = 0.01}), weights("dual", {6, 5}), gradient("dual", {6, 5}));
    stack.add("padded", role<Sign>({.learning_rate = 0.01}), weights("padded", {260, 256}, {260, 1}),
              gradient("padded", {260, 256}, {260, 1}));
    stack.add("embedding", role<Embedding>(), weights("embedding", {300, 250}),
              gradient("embedding", {300, 250}, {1, 300}));
    stack.add("frozen", role<HiddenMatrix>(), weights("frozen", {4, 4}), std::nullopt);
  }

  /// The gradients of a rank.
  void draw(int rank, int step) {
    std::size_t number = 0;
    for (auto& [name, tensor] : tensors) {
      draw_gradient(tensor.gradient, number++, rank, step);
      for (std::size_t i = 0; i < tensor.bf16_gradient.size(); ++i) {
        tensor.bf16_gradient[i] = symopt::to_bfloat16(tensor.gradient[i]);
        tensor.gradient[i] = symopt::to_float(tensor.bf16_gradient[i]);
      }
    }
  }
  /// The averages of the gradients of so many ranks, added in their order.
  void draw_averages(int ranks, int step) {
    draw(0, step);
    MpiModel other;
    for (int rank = 1; rank < ranks; ++rank) {
      other.draw(rank, step);
      for (auto& [name, tensor] : tensors)
        for (std::size_t i = 0; i < tensor.gradient.size(); ++i)
          tensor.gradient[i] += other.tensors[name].gradient[i];
    }
    for (auto& [name, tensor] : tensors)
      for (float& entry : tensor.gradient) entry /= static_cast<float>(ranks);
  }

  /// All weights, copies and halves, bit for bit; without the floats that steps do not send, if so wanted.
  std::string bits(bool with_kept = true) const {
    std::string all;
    const auto add = [&](const auto& numbers) {
      all.append(reinterpret_cast<const char*>(numbers.data()), numbers.size() * sizeof numbers[0]);
    };
    for (const auto& [name, tensor] : tensors) {
      if (with_kept || tensor.copy.empty()) add(tensor.weights);
      add(tensor.copy);
      if (with_kept) add(tensor.low);
    }
    return all;
  }
};

}  // namespace symopt_test
