// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "support/inputs.hpp"

#include <symopt/memory/layout.hpp>
#include <symopt/memory/tensor_view.hpp>

#include <array>
#include <functional>
#include <string>
#include <utility>
#include <vector>

// The ways in which trainers store blocks in tensors. Where an element lies is written by hand here, so that
// the library's layouts are compared with something else than themselves.
namespace symopt_test {

using symopt::GateUp;
using symopt::Layout;
using symopt::Neurons;

/// The place of an element in a tensor: one index for each dimension.
using Place = std::vector<Index>;

/// A tensor's shape, its layout, and where element (i, j) of block b is.
struct Storage {
  static constexpr std::size_t none = 100;

  std::string name;
  std::vector<Index> sizes;
  Layout layout;
  std::vector<Shape> blocks;
  std::function<Place(Index b, Index i, Index j)> place;
  /// The dimensions from this one on are one axis, without gaps between them.
  std::size_t flattened_from = none;
};

/// How the dimensions of a tensor follow each other in memory.
///   dense         row-major
///   gaps          row-major, every other scalar, and a gap after each line
///   column_major  the first dimension runs fastest
///   backwards     row-major, the first dimension from its end to its beginning
enum class Order { dense, gaps, column_major, backwards };

inline std::string to_string(Order order) {
  constexpr std::array names{"dense", "gaps", "column major", "backwards"};
  return names[static_cast<std::size_t>(order)];
}

inline std::vector<Index> strides_of(const Storage& storage, Order order) {
  const std::vector<Index>& sizes = storage.sizes;
  std::vector<Index> strides(sizes.size());
  Index next = order == Order::gaps ? 2 : 1;
  std::size_t row_major_from = 0;
  if (order == Order::column_major) {
    row_major_from = std::min(storage.flattened_from, sizes.size());
    for (std::size_t d = 0; d < row_major_from; ++d) {
      strides[d] = next;
      next *= sizes[d];
    }
  }
  for (std::size_t d = sizes.size(); d-- > row_major_from;) {
    strides[d] = next;
    next *= sizes[d];
    if (order == Order::gaps && d > 0 && d - 1 < storage.flattened_from) next += 3;
  }
  if (order == Order::backwards) strides[0] = -strides[0];
  return strides;
}

inline Index offset_of(const Place& place, const std::vector<Index>& strides) {
  Index offset = 0;
  for (std::size_t d = 0; d < place.size(); ++d) offset += place[d] * strides[d];
  return offset;
}

/// Every place of a tensor.
inline std::vector<Place> all_places(const std::vector<Index>& sizes) {
  std::vector<Place> places{{}};
  for (const Index size : sizes) {
    std::vector<Place> longer;
    for (const Place& place : places)
      for (Index i = 0; i < size; ++i) {
        longer.push_back(place);
        longer.back().push_back(i);
      }
    places = std::move(longer);
  }
  return places;
}

/// A tensor in memory of its own, with marks before it, after it and in its gaps.
template <class Scalar>
class Stored {
 public:
  static constexpr Scalar mark = Scalar(-77);

  Stored(const Storage& storage, std::vector<Index> strides)
      : storage_(storage), strides_(std::move(strides)) {
    Index above = 0;
    for (std::size_t d = 0; d < strides_.size(); ++d) {
      const Index extent = std::max<Index>(storage_.sizes[d] - 1, 0) * strides_[d];
      if (extent < 0) first_ -= extent;
      if (extent > 0) above += extent;
    }
    memory_.assign(static_cast<std::size_t>(first_ + above + 1 + margin), mark);
  }
  Stored(const Storage& storage, Order order) : Stored(storage, strides_of(storage, order)) {}

  symopt::TensorView<Scalar> view() { return {memory_.data() + first_, storage_.sizes, strides_}; }
  symopt::TensorView<const Scalar> view() const {
    return {memory_.data() + first_, storage_.sizes, strides_};
  }

  Matrix<Scalar> block(std::size_t b) const {
    const Shape shape = storage_.blocks[b];
    Matrix<Scalar> values(shape.rows, shape.cols);
    for (Index i = 0; i < shape.rows; ++i)
      for (Index j = 0; j < shape.cols; ++j) values(i, j) = memory_[at(b, i, j)];
    return values;
  }
  void set_block(std::size_t b, const Matrix<Scalar>& values) {
    for (Index i = 0; i < values.rows(); ++i)
      for (Index j = 0; j < values.cols(); ++j) memory_[at(b, i, j)] = values(i, j);
  }

  std::vector<Matrix<Scalar>> blocks() const {
    std::vector<Matrix<Scalar>> all;
    for (std::size_t b = 0; b < storage_.blocks.size(); ++b) all.push_back(block(b));
    return all;
  }
  void set_blocks(const std::vector<Matrix<Scalar>>& all) {
    for (std::size_t b = 0; b < all.size(); ++b) set_block(b, all[b]);
  }

  /// True while nothing but the tensor was written.
  bool surroundings_are_intact() const {
    std::vector<bool> is_inside(memory_.size(), false);
    for (const Place& place : all_places(storage_.sizes))
      is_inside[static_cast<std::size_t>(first_ + offset_of(place, strides_))] = true;
    for (std::size_t i = 0; i < memory_.size(); ++i)
      if (!is_inside[i] && memory_[i] != mark) return false;
    return true;
  }

 private:
  static constexpr Index margin = 3;

  std::size_t at(std::size_t b, Index i, Index j) const {
    return static_cast<std::size_t>(first_ +
                                    offset_of(storage_.place(static_cast<Index>(b), i, j), strides_));
  }

  Storage storage_;
  std::vector<Index> strides_;
  Index first_ = margin;
  std::vector<Scalar> memory_;
};

inline std::vector<Shape> copies(std::size_t count, Shape shape) {
  return std::vector<Shape>(count, shape);
}

/// Six neurons of width 4 in all sixteen ways.
inline void add_gate_up_storages(std::vector<Storage>& storages) {
  namespace layout = symopt::layout;
  for (const bool is_transposed : {false, true})
    for (const bool has_experts : {false, true})
      for (const GateUp order : {GateUp::concatenated, GateUp::interleaved})
        for (const Neurons neurons : {Neurons::apart, Neurons::paired}) {
          const bool is_apart = neurons == Neurons::apart;
          Storage storage;
          storage.layout = layout::gate_up(order, neurons);
          if (is_transposed) storage.layout = layout::transposed(storage.layout);
          if (has_experts) storage.layout = layout::experts(storage.layout);
          storage.name = symopt::to_string(storage.layout);
          storage.sizes = is_transposed ? Place{4, 12} : Place{12, 4};
          if (has_experts) storage.sizes.insert(storage.sizes.begin(), 3);
          const std::size_t expert_count = has_experts ? 3 : 1;
          storage.blocks = is_apart ? copies(2 * expert_count, {6, 4}) : copies(expert_count, {6, 8});
          storage.place = [=](Index b, Index i, Index j) {
            const Index half = is_apart ? b % 2 : j / 4;  // 0: gate, 1: up
            const Index row = order == GateUp::concatenated ? 6 * half + i : 2 * i + half;
            const Index column = is_apart ? j : j % 4;
            Place place = is_transposed ? Place{column, row} : Place{row, column};
            if (has_experts) place.insert(place.begin(), is_apart ? b / 2 : b);
            return place;
          };
          storages.push_back(std::move(storage));
        }
}

/// Blocks of at least two rows and columns, in every layout and many compositions.
inline std::vector<Storage> all_storages() {
  namespace layout = symopt::layout;
  std::vector<Storage> storages{
      {"whole",
       {6, 4},
       layout::whole(),
       {{6, 4}},
       [](Index, Index i, Index j) {
         return Place{i, j};
       }},
      {"transposed",
       {4, 6},
       layout::transposed(),
       {{6, 4}},
       [](Index, Index i, Index j) {
         return Place{j, i};
       }},
      {"heads of q",
       {12, 5},
       layout::row_heads(3),
       copies(3, {4, 5}),
       [](Index b, Index i, Index j) {
         return Place{4 * b + i, j};
       }},
      {"heads of o",
       {6, 8},
       layout::column_heads(2),
       copies(2, {6, 4}),
       [](Index b, Index i, Index j) {
         return Place{i, 4 * b + j};
       }},
      {"heads of q, stored (in, out)",
       {5, 12},
       layout::transposed(layout::row_heads(3)),
       copies(3, {4, 5}),
       [](Index b, Index i, Index j) {
         return Place{j, 4 * b + i};
       }},
      {"transposed heads",
       {12, 4},
       layout::row_heads(2, layout::transposed()),
       copies(2, {4, 6}),
       [](Index b, Index i, Index j) {
         return Place{6 * b + j, i};
       }},
      {"heads in a grid",
       {8, 9},
       layout::row_heads(2, layout::column_heads(3)),
       copies(6, {4, 3}),
       [](Index b, Index i, Index j) {
         return Place{4 * (b / 3) + i, 3 * (b % 3) + j};
       }},
      {"fused qkv",
       {16, 5},
       layout::fused_qkv(4, 2, 2),
       {{8, 5}, {4, 5}, {4, 5}},
       [](Index b, Index i, Index j) {
         return Place{(b == 0 ? 0 : 4 + 4 * b) + i, j};
       }},
      {"heads of fused qkv",
       {16, 5},
       layout::row_heads(4 + 2 * 2),
       copies(8, {2, 5}),
       [](Index b, Index i, Index j) {
         return Place{2 * b + i, j};
       }},
      {"unequal sections",
       {12, 4},
       layout::row_sections({2, 6, 4}),
       {{2, 4}, {6, 4}, {4, 4}},
       [](Index b, Index i, Index j) {
         return Place{std::array<Index, 3>{0, 2, 8}.at(std::size_t(b)) + i, j};
       }},
      {"heads of unequal sections",
       {10, 8},
       layout::row_sections({4, 6}, layout::column_heads(2)),
       {{4, 4}, {4, 4}, {6, 4}, {6, 4}},
       [](Index b, Index i, Index j) {
         return Place{4 * (b / 2) + i, 4 * (b % 2) + j};
       }},
      {"experts",
       {3, 6, 4},
       layout::experts(),
       copies(3, {6, 4}),
       [](Index b, Index i, Index j) {
         return Place{b, i, j};
       }},
      {"experts, stored (in, out)",
       {3, 4, 6},
       layout::experts(layout::transposed()),
       copies(3, {6, 4}),
       [](Index b, Index i, Index j) {
         return Place{b, j, i};
       }},
      {"heads of experts",
       {2, 8, 5},
       layout::experts(layout::row_heads(2)),
       copies(4, {4, 5}),
       [](Index b, Index i, Index j) {
         return Place{b / 2, 4 * (b % 2) + i, j};
       }},
      {"experts of layers",
       {2, 3, 4, 3},
       layout::experts(layout::experts()),
       copies(6, {4, 3}),
       [](Index b, Index i, Index j) {
         return Place{b / 3, b % 3, i, j};
       }},
      {"kernel",
       {6, 2, 3, 2},
       layout::as_matrix(),
       {{6, 12}},
       [](Index, Index i, Index j) {
         return Place{i, j / 6, j / 2 % 3, j % 2};
       },
       1},
      {"kernel of one point",
       {6, 4, 1, 1},
       layout::as_matrix(),
       {{6, 4}},
       [](Index, Index i, Index j) {
         return Place{i, j, 0, 0};
       },
       1},
      {"kernel in groups",
       {8, 3, 2},
       layout::as_matrix(layout::row_heads(2)),
       copies(2, {4, 6}),
       [](Index b, Index i, Index j) {
         return Place{4 * b + i, j / 2, j % 2};
       },
       1},
      {"kernels of experts",
       {2, 4, 3, 1, 2},
       layout::experts(layout::as_matrix()),
       copies(2, {4, 6}),
       [](Index b, Index i, Index j) {
         return Place{b, i, j / 2, 0, j % 2};
       },
       2},
      {"heads of gate and up",
       {16, 4},
       layout::gate_up(GateUp::interleaved, Neurons::apart, layout::row_heads(2)),
       copies(4, {4, 4}),
       [](Index b, Index i, Index j) {
         return Place{2 * (4 * (b % 2) + i) + b / 2, j};
       }},
      {"heads of paired neurons",
       {16, 3},
       layout::gate_up(GateUp::concatenated, Neurons::paired, layout::row_heads(2)),
       copies(2, {4, 6}),
       [](Index b, Index i, Index j) {
         return Place{8 * (j / 3) + 4 * b + i, j % 3};
       }},
      {"paired neurons as columns",
       {12, 4},
       layout::gate_up(GateUp::concatenated, Neurons::paired, layout::transposed()),
       {{8, 6}},
       [](Index, Index i, Index j) {
         return Place{6 * (i / 4) + j, i % 4};
       }},
  };
  add_gate_up_storages(storages);
  return storages;
}

}  // namespace symopt_test
