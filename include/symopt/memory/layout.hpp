// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/matrix.hpp>

#include <string>
#include <utility>
#include <vector>

namespace symopt { inline namespace SYMOPT_ABI {

/// The arrangement of a gate and an up matrix in one tensor, seen as rows [2 neurons, width]:
///   concatenated   all gate rows, then all up rows            (OLMoE's experts)
///   interleaved    gate, up, gate, up, ...                    (gpt-oss's experts, stored transposed)
enum class GateUp { concatenated, interleaved };

/// The blocks that gate and up become:
///   apart     two blocks [neurons, width]
///   paired    one block with one row per neuron, [neurons, 2 width]: what the neuron reads through gate and
///   up
enum class Neurons { apart, paired };

/// The layout of a parameter tensor as a set of independent matrix blocks: nothing for a tensor that is one
/// block, or levels from the outermost (the storage) inwards. A value; made and composed by the functions in
/// namespace layout:
///   layout::experts(layout::transposed(layout::gate_up(GateUp::interleaved, Neurons::paired)))
/// is a tensor [experts, width, 2 neurons] and makes one block [neurons, 2 width] for each expert.
struct Layout {
  /// The kinds of levels, as the functions in namespace layout describe them.
  enum class Kind { experts, as_matrix, transposed, row_heads, column_heads, row_sections, gate_up };

  /// One level. A kind that has no such number or order leaves it as it is.
  struct Step {
    Kind kind;                            ///< which of these it is
    Index count = 1;                      ///< of row or column heads
    std::vector<Index> rows{};            ///< of the sections
    GateUp order = GateUp::concatenated;  ///< of gate and up
    Neurons neurons = Neurons::apart;     ///< of gate and up

    friend bool operator==(const Step&, const Step&) = default;
  };

  std::vector<Step> steps;  ///< from the storage inwards

  friend bool operator==(const Layout&, const Layout&) = default;
};

namespace layout {

namespace detail {

inline Layout outside(Layout::Step step, Layout inner) {
  Layout whole;
  whole.steps.reserve(1 + inner.steps.size());
  whole.steps.push_back(std::move(step));
  for (Layout::Step& next : inner.steps) whole.steps.push_back(std::move(next));
  return whole;
}

}  // namespace detail

/// The matrix is one block.
inline Layout whole() {
  return {};
}

/// [E, ...]: E independent tensors one after the other, each laid out as `each`.
inline Layout experts(Layout each = {}) {
  return detail::outside({.kind = Layout::Kind::experts}, std::move(each));
}

/// [out, in, height, width] as the matrix [out, in * height * width], and likewise any number of dimensions:
/// a convolution's kernel as the map from its patch.
inline Layout as_matrix(Layout inner = {}) {
  return detail::outside({.kind = Layout::Kind::as_matrix}, std::move(inner));
}

/// Stored (in, out): the block is the transpose of what is stored.
inline Layout transposed(Layout inner = {}) {
  return detail::outside({.kind = Layout::Kind::transposed}, std::move(inner));
}

/// `count` heads below each other, [count * size, in]: attention's q, and with its own count k and v.
inline Layout row_heads(Index count, Layout each = {}) {
  return detail::outside({.kind = Layout::Kind::row_heads, .count = count}, std::move(each));
}

/// `count` heads beside each other, [out, count * size]: attention's output matrix.
inline Layout column_heads(Index count, Layout each = {}) {
  return detail::outside({.kind = Layout::Kind::column_heads, .count = count}, std::move(each));
}

/// Matrices of these numbers of rows below each other, each laid out as `each`.
inline Layout row_sections(std::vector<Index> rows, Layout each = {}) {
  return detail::outside({.kind = Layout::Kind::row_sections, .rows = std::move(rows)}, std::move(each));
}

/// q, k and v below each other as three blocks, with grouped queries when there are fewer key-value heads.
/// For one block per head use row_heads(query_heads + 2 * key_value_heads), whichever way the heads
/// alternate.
inline Layout fused_qkv(Index query_heads, Index key_value_heads, Index head_size) {
  return row_sections({query_heads * head_size, key_value_heads * head_size, key_value_heads * head_size});
}

/// The key-value projection of latent attention (MLA), [heads * (key_size + value_size), rank]: the key of a
/// head, without the rotary part that all heads share, above its value. Two blocks for each head.
inline Layout latent_key_value(Index heads, Index key_size, Index value_size) {
  return row_heads(heads, row_sections({key_size, value_size}));
}

/// A SwiGLU's gate and up matrices in one, [2 neurons, width].
inline Layout gate_up(GateUp order, Neurons neurons, Layout each = {}) {
  return detail::outside({.kind = Layout::Kind::gate_up, .order = order, .neurons = neurons},
                         std::move(each));
}

}  // namespace layout

namespace detail {

/// Tests whether a row of a block can lie in two places of the tensor.
inline bool pairs_neurons(const Layout& layout) {
  for (const Layout::Step& step : layout.steps)
    if (step.kind == Layout::Kind::gate_up && step.neurons == Neurons::paired) return true;
  return false;
}

}  // namespace detail

constexpr const char* to_string(GateUp order) {
  return order == GateUp::concatenated ? "concatenated" : "interleaved";
}
constexpr const char* to_string(Neurons neurons) {
  return neurons == Neurons::apart ? "apart" : "paired";
}

/// One level: "experts", "16 row heads", "gate/up interleaved, paired".
inline std::string to_string(const Layout::Step& step) {
  using Kind = Layout::Kind;
  switch (step.kind) {
    case Kind::experts:
      return "experts";
    case Kind::as_matrix:
      return "as matrix";
    case Kind::transposed:
      return "transposed";
    case Kind::row_heads:
      return std::to_string(step.count) + " row heads";
    case Kind::column_heads:
      return std::to_string(step.count) + " column heads";
    case Kind::gate_up:
      return std::string("gate/up ") + to_string(step.order) + ", " + to_string(step.neurons);
    case Kind::row_sections:
      break;
  }
  std::string text = "sections";
  for (const Index rows : step.rows) {
    text += ' ';
    text += std::to_string(rows);
  }
  return text;
}

/// The levels from the outermost inwards: "experts, transposed, gate/up interleaved, paired".
inline std::string to_string(const Layout& layout) {
  if (layout.steps.empty()) return "whole";
  std::string text;
  for (const Layout::Step& step : layout.steps) text += (text.empty() ? "" : ", ") + to_string(step);
  return text;
}

}}  // namespace symopt
