// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/block_view.hpp>
#include <symopt/kernel/lanes.hpp>

#include <algorithm>
#include <type_traits>
#include <utility>

// Rows of a block as contiguous numbers. Where a stretch of a row is contiguous and in the scalar that a step
// computes in, a window onto it is the memory itself; elsewhere (a gradient in the other storage order, rows
// in parts, other storage types) a small copy on the stack, in the first cache, which is written back when
// the window closes. So one kernel serves every layout and every storage, with the same arithmetic in the
// same order.
namespace symopt { inline namespace SYMOPT_ABI { namespace kernel {

/// Entries in a window that is a copy. A multiple of every number of lanes.
inline constexpr Index window_size = 512;

/// How many entries from column `col` on lie next to each other; 0 where they are so few that copying is
/// better.
template <class T>
Index contiguous_from(const BlockView<T>& view, Index col) {
  constexpr Index worthwhile = 64;
  const Index rest = view.cols.size - col;
  if (view.cols.stride != 1) return rest <= 1 ? rest : 0;
  if (view.cols.parts == 1) return rest;
  const Index run = view.cols.part_size() - col % view.cols.part_size();
  return run == rest || run >= worthwhile ? run : 0;
}

/// visit(col, count) for the stretches of a row from `begin` to `end` that all the blocks can show in a
/// window.
template <class Visit, class... Blocks>
SYMOPT_INLINE void for_each_stretch(Index begin, Index end, Visit&& visit, const Blocks&... blocks) {
  for (Index col = begin, count; col < end; col += count) {
    count = end - col;
    ((count = std::min(count, blocks.stretch_from(col))), ...);
    visit(col, count);
  }
}

/// Reads `count` entries of a row one by one, and writes them.
template <class T, class Value>
void gather(const BlockView<T>& view, Index row, Index col, Index count, Value* to) {
  const T* first = view.row(row);
  for (Index j = 0; j < count; ++j) to[j] = first[view.cols.offset(col + j)];
}
template <class T>
void scatter(const T* from, Index count, const BlockView<T>& view, Index row, Index col) {
  T* first = view.row(row);
  for (Index j = 0; j < count; ++j) first[view.cols.offset(col + j)] = from[j];
}

/// Windows onto the same stretch of `rows` rows that follow each other.
template <class Window, int rows>
class RowWindows {
 public:
  template <class Block>
  RowWindows(const Block& block, Index first_row, Index col, Index count)
      : RowWindows(block, first_row, col, count, std::make_integer_sequence<int, rows>{}) {}

  auto* operator[](int row) const { return windows_[row].data(); }

 private:
  template <class Block, int... row>
  RowWindows(const Block& block, Index first_row, Index col, Index count, std::integer_sequence<int, row...>)
      : windows_{Window(block, first_row + row, col, count)...} {}

  Window windows_[rows];
};

/// visit(size, first row) for groups of rows from `first` to `last`: of `most`, as a constant, and of one for
/// what is left. The rows of a group share what a sweep reads and writes for each column.
template <int most, class Visit>
SYMOPT_INLINE void for_each_row_group(Index first, Index last, Visit&& visit) {
  Index i = first;
  for (; i + most <= last; i += most) visit(std::integral_constant<int, most>{}, i);
  for (; i < last; ++i) visit(std::integral_constant<int, 1>{}, i);
}

/// Rows cut into pieces for threads, by the size of the block alone.
struct Pieces {
  Index rows = 0;           ///< of the block
  Index rows_in_piece = 1;  ///< but for the last one
  Index count = 0;

  Index first(Index piece) const { return piece * rows_in_piece; }
  Index end(Index piece) const { return std::min(rows, first(piece) + rows_in_piece); }
};

/// Pieces of some 32768 entries: large against the cost of handing one out, small against a cache.
inline Pieces pieces_of(Shape shape) {
  constexpr Index entries = 32768;
  const Index rows = std::max<Index>(1, entries / std::max<Index>(1, shape.cols));
  return {shape.rows, rows, (shape.rows + rows - 1) / rows};
}

/// At most 64 pieces, each with a line of sums of its own: of so many rows that the lines, which one thread
/// adds up, are little beside them.
inline Pieces summed_pieces_of(Shape shape) {
  constexpr Index most = 64, least_rows = 48;
  const Index rows = std::max({(shape.rows + most - 1) / most, pieces_of(shape).rows_in_piece, least_rows});
  return {shape.rows, rows, (shape.rows + rows - 1) / rows};
}

}}}  // namespace symopt::kernel
