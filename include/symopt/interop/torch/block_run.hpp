// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/memory/block_view.hpp>

#include <ATen/ATen.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace symopt { inline namespace SYMOPT_ABI { namespace interop { namespace detail {

/// Blocks of one tensor that lie at equal distances, as one view of it: blocks x rows x columns, with rows
/// and columns in their parts where they have some. All of one shape.
class BlockRun {
 public:
  /// The blocks from `blocks[first]` on that make one run, at most those before `last`; `start` is the
  /// tensor's first element.
  template <class Scalar>
  BlockRun(const std::vector<symopt::detail::BlockView<Scalar>>& blocks, std::size_t first, std::size_t last,
           Scalar* start)
      : offset_(blocks[first].data - start), rows_(blocks[first].rows.size), cols_(blocks[first].cols.size) {
    using symopt::detail::Axis;
    const Axis &rows = blocks[first].rows, &cols = blocks[first].cols;
    const auto is_next = [&](std::size_t b, std::int64_t distance) {
      return blocks[b].rows == rows && blocks[b].cols == cols &&
             blocks[b].data - blocks[b - 1].data == distance;
    };
    std::int64_t distance = 0;
    if (first + 1 < last) distance = blocks[first + 1].data - blocks[first].data;
    std::size_t end = first + 1;
    while (distance > 0 && end < last && is_next(end, distance)) ++end;
    count_ = static_cast<std::int64_t>(end - first);
    add(count_, distance);
    for (const Axis& axis : {rows, cols}) {
      if (axis.parts > 1) add(axis.parts, axis.part_stride);
      add(axis.part_size(), axis.stride);
    }
  }

  std::int64_t count() const { return count_; }
  std::int64_t rows() const { return rows_; }
  std::int64_t cols() const { return cols_; }
  /// The run in a tensor of the same strides.
  at::Tensor of(const at::Tensor& tensor) const {
    return tensor.as_strided(sizes_, strides_, tensor.storage_offset() + offset_);
  }
  /// Blocks, count x rows x columns, in the shape of that view.
  at::Tensor shaped(const at::Tensor& blocks) const { return blocks.reshape(sizes_); }
  /// The blocks, count x rows x columns: a view where the run is one.
  at::Tensor blocks_of(const at::Tensor& tensor) const { return of(tensor).reshape({count_, rows_, cols_}); }

 private:
  void add(std::int64_t size, std::int64_t stride) {
    sizes_.push_back(size);
    strides_.push_back(stride);
  }

  std::int64_t offset_, rows_, cols_, count_ = 0;
  std::vector<std::int64_t> sizes_, strides_;
};

/// The blocks from number `first` to before `last` in runs, in their order.
template <class Scalar>
std::vector<BlockRun> runs_of(const std::vector<symopt::detail::BlockView<Scalar>>& blocks, std::size_t first,
                              std::size_t last, Scalar* start) {
  std::vector<BlockRun> runs;
  for (; first < last; first += static_cast<std::size_t>(runs.back().count()))
    runs.emplace_back(blocks, first, last, start);
  return runs;
}

}}}}  // namespace symopt::interop::detail
