// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/interop/mpi/block_type.hpp>
#include <symopt/memory/runs.hpp>

#include <algorithm>
#include <cstring>
#include <type_traits>

namespace symopt { inline namespace SYMOPT_ABI { namespace mpi::detail {

/// The numbers of a block one after the other, row by row as the block lies in memory.
template <class Number>
class NumberRun {
  using Value = std::remove_const_t<Number>;

 public:
  explicit NumberRun(const BlockView<Number>& view) : block_(as_it_lies(view)) {}

  /// The numbers from `first` on where they lie, without gaps to the last one; null for a block with gaps.
  Number* lying(Index first) const {
    const bool is_dense = block_.selected_rows == nullptr && block_.rows.parts == 1 &&
                          block_.has_contiguous_rows() &&
                          (block_.rows.stride == block_.cols.size || block_.rows.size <= 1);
    return is_dense ? block_.data + first : nullptr;
  }

  /// Copies `count` numbers from `first` on out of the block, and into it.
  ///@{
  void read(Index first, Index count, Value* to) const {
    for_each_piece(first, count, [&](Index row, Index col, Index length) {
      kernel::gather(block_, row, col, length, to);
      to += length;
    });
  }
  void write(const Value* from, Index first, Index count) const {
    for_each_piece(first, count, [&](Index row, Index col, Index length) {
      kernel::scatter(from, length, block_, row, col);
      from += length;
    });
  }
  ///@}

 private:
  void for_each_piece(Index first, Index count, const auto& visit) const {
    const Index width = block_.cols.size;
    while (count > 0) {
      const Index col = first % width, length = std::min(count, width - col);
      visit(first / width, col, length);
      first += length;
      count -= length;
    }
  }

  BlockView<Number> block_;
};

}}}  // namespace symopt::mpi::detail
