// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/memory/gradient_view.hpp>
#include <symopt/memory/weights_view.hpp>

#include <limits>
#include <type_traits>
#include <utility>

// Blocks as operands of a sweep: windows onto runs of their rows, and the cursors that go along them.
namespace symopt { inline namespace SYMOPT_ABI { namespace kernel {

/// Some columns of a row, or of several that follow each other.
struct Run {
  Index row = 0;       ///< the first one
  Index next_row = 0;  ///< the first of the next group of rows; `row` where there is none
  Index col = 0;
  Index count = 0;
  Index offset = 0;  ///< of `col` from the first column of the sweep
};

/// The memory that a sweep fetches ahead of the vector that it reads.
enum class Fetch {
  nothing,
  close,    ///< two kilobytes on, where rows come one by one
  distant,  ///< that, and eight kilobytes on: for sweeps that leave the memory alone for a while between rows
  next_rows,  ///< the next group of rows
};

enum class Access { in, out, inout };

namespace detail {

inline constexpr Index unlimited = std::numeric_limits<Index>::max();

/// A cursor that does nothing: the base of those that do something. A cursor goes along a run: begin(at),
/// then load(row, at) and store(row, at) around the body for each row of a group, then end(at) at every
/// vector, and finish() after the last.
struct CursorBase {
  SYMOPT_INLINE void begin(FullVector) {}
  SYMOPT_INLINE void begin(Tail) {}
  SYMOPT_INLINE void load(int, FullVector) {}
  SYMOPT_INLINE void load(int, Tail) {}
  SYMOPT_INLINE void store(int, FullVector) {}
  SYMOPT_INLINE void store(int, Tail) {}
  SYMOPT_INLINE void end(FullVector) {}
  SYMOPT_INLINE void end(Tail) {}
  SYMOPT_INLINE void finish() {}
};

/// A block whose rows are contiguous, seen as the other views are: a window is the memory itself.
template <class T>
class ContiguousRows {
 public:
  using value_type = std::remove_const_t<T>;
  static constexpr bool limits_runs = false;

  SYMOPT_INLINE explicit ContiguousRows(const BlockView<T>& block) : block_(block) {}

  SYMOPT_INLINE Index run_from(Index) const { return unlimited; }
  SYMOPT_INLINE Index between_rows(Index from, Index to, Index, Index) const {
    return static_cast<Index>(start_of_row(block_, to) - start_of_row(block_, from));
  }

  template <bool>
  class Window {
   public:
    SYMOPT_INLINE Window(const ContiguousRows& rows, Index row, Index col, Index count)
        : data_(count == 0 ? nullptr : start_of_row(rows.block_, row) + col) {}
    SYMOPT_INLINE T* data() const { return data_; }

   private:
    T* data_;
  };

 private:
  const BlockView<T>& block_;
};

template <class View>
SYMOPT_INLINE const View& rows_of(const View& view) {
  return view;
}
template <class T>
SYMOPT_INLINE ContiguousRows<T> rows_of(const BlockView<T>& block) {
  return ContiguousRows<T>(block);
}

/// Windows onto the rows of a group.
template <class Window, int rows>
struct Windows {
  Window of_row[std::size_t{rows}];
};
template <class Window, int... row>
SYMOPT_INLINE Windows<Window, static_cast<int>(sizeof...(row))> open_windows(
    const auto& view, const Run& run, Index count, std::integer_sequence<int, row...>) {
  return {{Window(view, run.row + row, run.col, count)...}};
}

template <class ViewOrReference, Access access, Fetch fetch, bool is_optional>
struct BlockOperand {
  using View = std::remove_cvref_t<ViewOrReference>;
  using Scalar = typename View::value_type;
  static constexpr int vector_size = Lanes<Scalar>::size;
  static constexpr bool limits_runs = View::limits_runs;

  ViewOrReference view;
  bool is_used;

  template <int rows>
  struct Cursor : CursorBase {
    std::conditional_t<access == Access::in, const Scalar, Scalar>* data[std::size_t{rows}];
    Index to_next_rows;
    OptionalLanes<Scalar> entries;

    SYMOPT_INLINE bool is_given() const { return !is_optional || entries.is_given; }

    SYMOPT_INLINE void load(int row, auto at) {
      constexpr Index kilobyte = 1024 / static_cast<Index>(sizeof(Scalar));
      if constexpr (rows == 1 && (fetch == Fetch::close || fetch == Fetch::distant))
        kernel::fetch(data[0], at, 2 * kilobyte);
      if constexpr (rows == 1 && fetch == Fetch::distant) kernel::fetch<2>(data[0], at, 8 * kilobyte);
      if constexpr (fetch == Fetch::next_rows) kernel::fetch(data[row], at, to_next_rows);
      if constexpr (access != Access::out)
        if (is_given()) entries.lanes = kernel::load(data[row], at);
    }
    SYMOPT_INLINE auto& value(int) {
      if constexpr (is_optional) {
        return entries;
      } else if constexpr (access == Access::in) {
        return std::as_const(entries.lanes);
      } else {
        return entries.lanes;
      }
    }
    SYMOPT_INLINE void store(int row, auto at) {
      if constexpr (access != Access::in)
        if (is_given()) kernel::store(data[row], at, entries.lanes);
    }
  };

  SYMOPT_INLINE bool is_given() const { return !is_optional || is_used; }

  SYMOPT_INLINE Index run_from(Index col) const { return is_given() ? view.run_from(col) : unlimited; }

  template <int rows>
  SYMOPT_INLINE auto open(const Run& run) const {
    using Window = typename View::template Window<access != Access::in>;
    return open_windows<Window>(view, run, is_given() ? run.count : 0,
                                std::make_integer_sequence<int, rows>{});
  }
  template <class, int rows>
  SYMOPT_INLINE Cursor<rows> cursor(const Run& run, const auto& windows) const {
    Cursor<rows> cursor;
    for (int row = 0; row < rows; ++row) cursor.data[row] = windows.of_row[row].data();
    if constexpr (fetch == Fetch::next_rows)
      cursor.to_next_rows = view.between_rows(run.row, run.next_row, run.col, run.count);
    cursor.entries.is_given = is_used;
    return cursor;
  }
};

template <Access access, Fetch fetch, bool is_optional, class View>
SYMOPT_INLINE auto block_operand(const View& view, bool is_used) {
  return BlockOperand<decltype(rows_of(view)), access, fetch, is_optional>{rows_of(view), is_used};
}

}  // namespace detail

}}}  // namespace symopt::kernel
