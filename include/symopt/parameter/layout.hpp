// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/matrix.hpp>

#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace symopt::inline SYMOPT_ABI {

/// How a gate and an up matrix share one tensor, seen as rows [2 neurons, width]:
///   concatenated   all gate rows, then all up rows            (OLMoE's experts)
///   interleaved    gate, up, gate, up, ...                    (gpt-oss's experts, stored transposed)
enum class GateUp { concatenated, interleaved };

/// What becomes of them:
///   apart     two blocks [neurons, width]
///   paired    one block with one row per neuron, [neurons, 2 width]: what the neuron reads through gate and
///   up
enum class Neurons { apart, paired };

/// One level of a layout. See the functions in namespace layout.
namespace layout_step {

struct Experts {
  friend bool operator==(const Experts&, const Experts&) = default;
};
struct AsMatrix {
  friend bool operator==(const AsMatrix&, const AsMatrix&) = default;
};
struct Transposed {
  friend bool operator==(const Transposed&, const Transposed&) = default;
};
struct RowHeads {
  Index count = 1;
  friend bool operator==(const RowHeads&, const RowHeads&) = default;
};
struct ColumnHeads {
  Index count = 1;
  friend bool operator==(const ColumnHeads&, const ColumnHeads&) = default;
};
struct RowSections {
  std::vector<Index> rows;
  friend bool operator==(const RowSections&, const RowSections&) = default;
};
struct GateUpRows {
  GateUp order = GateUp::concatenated;
  Neurons neurons = Neurons::apart;
  friend bool operator==(const GateUpRows&, const GateUpRows&) = default;
};

}  // namespace layout_step

/// How a parameter tensor is a set of independent matrix blocks: nothing for a tensor that is one block, or
/// levels from the outermost (the storage) inwards. A value; made and composed by the functions in namespace
/// layout:
///   layout::experts(layout::transposed(layout::gate_up(GateUp::interleaved, Neurons::paired)))
/// is a tensor [experts, width, 2 neurons] and makes one block [neurons, 2 width] for each expert.
struct Layout {
  /// One level.
  using Step = std::variant<layout_step::Experts, layout_step::AsMatrix, layout_step::Transposed,
                            layout_step::RowHeads, layout_step::ColumnHeads, layout_step::RowSections,
                            layout_step::GateUpRows>;

  std::vector<Step> steps;  ///< from the storage inwards

  friend bool operator==(const Layout&, const Layout&) = default;
};

namespace layout {

namespace detail {

inline Layout outside(Layout::Step step, Layout inner) {
  inner.steps.insert(inner.steps.begin(), std::move(step));
  return inner;
}

}  // namespace detail

/// The matrix is one block.
inline Layout whole() {
  return {};
}

/// [E, ...]: E independent tensors one after the other, each laid out as `each`.
inline Layout experts(Layout each = {}) {
  return detail::outside(layout_step::Experts{}, std::move(each));
}

/// [out, in, height, width] as the matrix [out, in * height * width], and likewise any number of dimensions:
/// a convolution's kernel as the map from its patch.
inline Layout as_matrix(Layout inner = {}) {
  return detail::outside(layout_step::AsMatrix{}, std::move(inner));
}

/// Stored (in, out): the block is the transpose of what is stored.
inline Layout transposed(Layout inner = {}) {
  return detail::outside(layout_step::Transposed{}, std::move(inner));
}

/// `count` heads below each other, [count * size, in]: attention's q, and with its own count k and v.
inline Layout row_heads(Index count, Layout each = {}) {
  return detail::outside(layout_step::RowHeads{count}, std::move(each));
}

/// `count` heads beside each other, [out, count * size]: attention's output matrix.
inline Layout column_heads(Index count, Layout each = {}) {
  return detail::outside(layout_step::ColumnHeads{count}, std::move(each));
}

/// Matrices of these numbers of rows below each other, each laid out as `each`.
inline Layout row_sections(std::vector<Index> rows, Layout each = {}) {
  return detail::outside(layout_step::RowSections{std::move(rows)}, std::move(each));
}

/// q, k and v below each other as three blocks, with grouped queries when there are fewer key-value heads.
/// For one block per head use row_heads(query_heads + 2 * key_value_heads), whichever way the heads
/// alternate.
inline Layout fused_qkv(Index query_heads, Index key_value_heads, Index head_size) {
  return row_sections({query_heads * head_size, key_value_heads * head_size, key_value_heads * head_size});
}

/// A SwiGLU's gate and up matrices in one, [2 neurons, width].
inline Layout gate_up(GateUp order, Neurons neurons, Layout each = {}) {
  return detail::outside(layout_step::GateUpRows{order, neurons}, std::move(each));
}

}  // namespace layout

constexpr const char* to_string(GateUp order) {
  return order == GateUp::concatenated ? "concatenated" : "interleaved";
}
constexpr const char* to_string(Neurons neurons) {
  return neurons == Neurons::apart ? "apart" : "paired";
}

namespace layout_step {

inline std::string to_string(Experts) {
  return "experts";
}
inline std::string to_string(AsMatrix) {
  return "as matrix";
}
inline std::string to_string(Transposed) {
  return "transposed";
}
inline std::string to_string(RowHeads heads) {
  return std::to_string(heads.count) + " row heads";
}
inline std::string to_string(ColumnHeads heads) {
  return std::to_string(heads.count) + " column heads";
}
inline std::string to_string(const RowSections& sections) {
  std::string text = "sections";
  for (const Index rows : sections.rows) {
    text += ' ';
    text += std::to_string(rows);
  }
  return text;
}
inline std::string to_string(GateUpRows pair) {
  return std::string("gate/up ") + symopt::to_string(pair.order) + ", " + symopt::to_string(pair.neurons);
}

}  // namespace layout_step

/// The levels from the outermost inwards: "experts, transposed, gate/up interleaved, paired".
inline std::string to_string(const Layout& layout) {
  if (layout.steps.empty()) return "whole";
  std::string text;
  for (const Layout::Step& step : layout.steps)
    text += (text.empty() ? "" : ", ") + std::visit([](const auto& s) { return to_string(s); }, step);
  return text;
}

}  // namespace symopt
