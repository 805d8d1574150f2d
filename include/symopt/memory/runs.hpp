// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/memory/block_view.hpp>
#include <symopt/simd/lanes.hpp>

// Rows of a block as contiguous numbers. A run is a part of a row that is contiguous in memory. Where a run
// is in the scalar that a step computes in, a window onto it is the memory itself; elsewhere (a gradient in
// the other storage order, rows in parts, other storage types) a small copy on the stack, in the first cache,
// which is written back when the window closes. So one kernel serves every layout and every storage, with the
// same arithmetic in the same order.
namespace symopt { inline namespace SYMOPT_ABI { namespace kernel {

/// Entries in a window that is a copy. A multiple of the entries in a vector, for every type.
inline constexpr Index window_size = 512;

/// The number of entries that lie next to each other from column `col` on; 0 where they are so few that
/// copying is faster.
template <class T>
Index contiguous_from(const BlockView<T>& view, Index col) {
  constexpr Index worthwhile = 64;
  const Index rest = view.cols.size - col;
  if (view.cols.stride != 1) return rest <= 1 ? rest : 0;
  if (view.cols.parts == 1) return rest;
  const Index run = view.cols.part_size() - col % view.cols.part_size();
  return run == rest || run >= worthwhile ? run : 0;
}

/// The first entry of a row; a multiplication where rows are evenly spaced, as they mostly are.
///@{
template <class T>
[[gnu::noinline]] T* start_of_uneven_row(const BlockView<T>& view, Index row) {
  return view.row(row);
}
template <class T>
SYMOPT_INLINE T* start_of_row(const BlockView<T>& view, Index row) {
  const bool is_even = view.selected_rows == nullptr && view.rows.parts == 1;
  return is_even ? view.data + row * view.rows.stride : start_of_uneven_row(view, row);
}
///@}

/// Reads `count` entries of a row one by one, and writes them.
///@{
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
///@}

/// `count` entries of a row next to each other, as they are stored: where they lie, or, where they lie apart,
/// in a copy.
template <class T>
class StoredRun {
 public:
  StoredRun(const BlockView<T>& view, Index row, Index col, Index count) {
    if (contiguous_from(view, col) >= count) {
      data_ = view.row(row) + view.cols.offset(col);
    } else {
      gather(view, row, col, count, copy_);
      data_ = copy_;
    }
  }
  StoredRun(const StoredRun&) = delete;
  StoredRun& operator=(const StoredRun&) = delete;

  const T* data() const { return data_; }

 private:
  const T* data_;
  std::remove_const_t<T> copy_[window_size];
};

/// `count` entries of a row, all of which are written: the copy goes back in the end.
template <class T>
class WrittenRun {
 public:
  WrittenRun(const BlockView<T>& view, Index row, Index col, Index count)
      : view_(view), row_(row), col_(col), count_(count) {
    data_ = contiguous_from(view, col) >= count ? view.row(row) + view.cols.offset(col) : copy_;
  }
  ~WrittenRun() {
    if (data_ == copy_) scatter(copy_, count_, view_, row_, col_);
  }
  WrittenRun(const WrittenRun&) = delete;
  WrittenRun& operator=(const WrittenRun&) = delete;

  T* data() const { return data_; }

 private:
  const BlockView<T>& view_;
  Index row_, col_, count_;
  T* data_;
  T copy_[window_size];
};

}}}  // namespace symopt::kernel
