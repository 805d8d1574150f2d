// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/error.hpp>
#include <symopt/memory/block_view.hpp>
#include <symopt/memory/layout.hpp>
#include <symopt/memory/tensor_view.hpp>

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

namespace symopt { inline namespace SYMOPT_ABI { namespace detail {

/// The place of a block in a tensor, in scalars from its first element: a view that waits for its memory.
struct BlockPlace {
  Index offset;
  Axis rows, cols;

  BlockPlace transposed() const { return {offset, cols, rows}; }
};

/// Takes a tensor apart level by level, by its sizes and strides alone.
class Splitter {
  using Kind = Layout::Kind;

 public:
  Splitter(const std::vector<Index>& sizes, const std::vector<Index>& strides, const Layout& layout,
           std::string shape, const std::string& parameter)
      : steps_(layout.steps), shape_(std::move(shape)), parameter_(parameter) {
    split({0, sizes.data(), strides.data(), sizes.size()}, 0);
  }

  std::vector<BlockPlace> blocks;

 private:
  /// A tensor, or a slice of one.
  struct Tensor {
    Index offset;
    const Index *sizes, *strides;
    std::size_t dimensions;

    Tensor slice(Index i) const { return {offset + i * strides[0], sizes + 1, strides + 1, dimensions - 1}; }
  };

  /// Splits a tensor into blocks by the levels from `level` inwards.
  void split(const Tensor& tensor, std::size_t level) {
    if (level < steps_.size() && steps_[level].kind == Kind::experts) {
      require(tensor.dimensions >= 3, "experts are the first of at least three dimensions");
      for (Index i = 0; i < tensor.sizes[0]; ++i) split(tensor.slice(i), level + 1);
    } else if (level < steps_.size() && steps_[level].kind == Kind::as_matrix) {
      split_matrix(flattened(tensor), level + 1);
    } else {
      for (std::size_t inner = level; inner < steps_.size(); ++inner) require_matrix_level(steps_[inner]);
      require(tensor.dimensions != 3,
              "three dimensions need a layout: layout::experts() for one matrix per expert, "
              "layout::as_matrix() for a matrix of the first dimension by the others");
      require(tensor.dimensions <= 2,
              "more than two dimensions need a layout: layout::as_matrix() for a convolution's kernel");
      require(tensor.dimensions == 2, "this rule needs a matrix; give it to AdamW, which takes any vector");
      split_matrix(
          {tensor.offset, {tensor.sizes[0], tensor.strides[0]}, {tensor.sizes[1], tensor.strides[1]}}, level);
    }
  }

  void require(bool good, const std::string& remedy) const {
    detail::require(good, Where{parameter_, shape_}, remedy);
  }

  /// Requires a level that acts on a matrix: experts and as_matrix go outside of those.
  void require_matrix_level(const Layout::Step& step) const {
    require(step.kind != Kind::experts, "layout::experts goes outside the levels that act on a matrix");
    require(step.kind != Kind::as_matrix, "layout::as_matrix goes outside the levels that act on a matrix");
  }

  BlockPlace flattened(const Tensor& tensor) const {
    require(tensor.dimensions >= 2, "layout::as_matrix() needs at least two dimensions");
    const auto& [offset, sizes, strides, dimensions] = tensor;
    Axis columns{1};
    for (std::size_t d = dimensions; d-- > 1;) {
      if (sizes[d] == 1) continue;  // its stride may be anything: nothing follows it
      if (columns.size == 1) columns.stride = strides[d];
      require(columns.size == 0 || strides[d] == columns.stride * columns.size,
              "layout::as_matrix() needs the dimensions after the first in their order (not channels last) "
              "and without gaps between them");
      columns.size *= sizes[d];
    }
    return {offset, {sizes[0], strides[0]}, columns};
  }

  void split_matrix(const BlockPlace& view, std::size_t level) {
    if (level == steps_.size()) {
      blocks.push_back(view);
      return;
    }
    const Layout::Step& step = steps_[level];
    const std::size_t rest = level + 1;
    switch (step.kind) {
      case Kind::experts:
      case Kind::as_matrix:
        return require_matrix_level(step);
      case Kind::transposed:
        return split_matrix(view.transposed(), rest);
      case Kind::row_heads:
        for (const BlockPlace& head : equal_rows(view, step.count)) split_matrix(head, rest);
        return;
      case Kind::column_heads:
        for (const BlockPlace& head : equal_rows(view.transposed(), step.count))
          split_matrix(head.transposed(), rest);
        return;
      case Kind::row_sections:
        return split_sections(step, view, rest);
      case Kind::gate_up:
        return split_gate_up(step, view, rest);
    }
  }

  void split_sections(const Layout::Step& sections, const BlockPlace& view, std::size_t rest) {
    Index first = 0;
    for (const Index count : sections.rows) {
      require(count >= 0 && count <= view.rows.size - first, sections_remedy(sections, view));
      split_matrix(rows_of(view, first, count), rest);
      first += count;
    }
    require(first == view.rows.size, sections_remedy(sections, view));
  }
  void split_gate_up(const Layout::Step& pair, const BlockPlace& view, std::size_t rest) {
    require(view.rows.parts == 1 && view.cols.parts == 1, paired_remedy);
    const Index neurons = view.rows.size / 2;
    require(neurons * 2 == view.rows.size,
            "a gate and an up matrix in one have an even number of rows, not " +
                std::to_string(view.rows.size) + "; is the tensor stored transposed?");
    const bool interleaved = pair.order == GateUp::interleaved;
    const Index between = view.rows.stride * (interleaved ? 1 : neurons);  // from a gate row to its up row
    const Axis rows{neurons, view.rows.stride * (interleaved ? 2 : 1)};
    if (pair.neurons == Neurons::apart) {
      split_matrix({view.offset, rows, view.cols}, rest);
      split_matrix({view.offset + between, rows, view.cols}, rest);
    } else if (const Index width = view.cols.size; between == width * view.cols.stride) {
      split_matrix({view.offset, rows, {2 * width, view.cols.stride}}, rest);
    } else {
      split_matrix({view.offset, rows, {2 * width, view.cols.stride, 2, between}}, rest);
    }
  }

  static constexpr const char* paired_remedy =
      "paired neurons are not a regular matrix that could be taken apart further; pair them last";

  static std::string sections_remedy(const Layout::Step& sections, const BlockPlace& view) {
    return "the " + to_string(sections) + " do not add up to its " + std::to_string(view.rows.size) + " rows";
  }

  std::vector<BlockPlace> equal_rows(const BlockPlace& view, Index count) const {
    require(count > 0 && view.rows.size % count == 0, std::to_string(count) + " heads do not share " +
                                                          std::to_string(view.rows.size) +
                                                          " lines equally; count the heads of this tensor");
    const Index size = view.rows.size / count;
    std::vector<BlockPlace> heads;
    for (Index i = 0; i < count; ++i) heads.push_back(rows_of(view, i * size, size));
    return heads;
  }

  BlockPlace rows_of(const BlockPlace& view, Index first, Index count) const {
    require(view.rows.parts == 1, paired_remedy);
    return {view.offset + view.rows.offset(first), {count, view.rows.stride}, view.cols};
  }

  const std::vector<Layout::Step>& steps_;
  std::string shape_;
  std::string parameter_;
};

/// The blocks that `layout` makes of `tensor`, as views of its memory; nothing is copied.
/// Errors: std::invalid_argument that names the parameter, its shape and the remedy for a tensor that the
/// layout does not fit: heads that do not divide, dimensions that no level accounts for, sections of another
/// sum.
template <class Scalar>
std::vector<BlockView<Scalar>> blocks_of(const TensorView<Scalar>& tensor, const Layout& layout,
                                         const std::string& parameter = "block") {
  const detail::Splitter splitter(tensor.sizes(), tensor.strides(), layout, tensor.to_string(), parameter);
  std::vector<BlockView<Scalar>> blocks;
  for (const auto& [offset, rows, cols] : splitter.blocks)
    blocks.emplace_back(tensor.data() + offset, rows, cols);
  return blocks;
}

/// A tensor of one dimension, or none, as a block of one row.
template <class Scalar>
BlockView<Scalar> row_of(const TensorView<Scalar>& tensor) {
  if (tensor.dimensions() == 0) return {tensor.data(), {1}, {1}};
  return {tensor.data(), {1, tensor.sizes()[0]}, {tensor.sizes()[0], tensor.strides()[0]}};
}

}  // namespace detail

}}  // namespace symopt
