// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/product/block_operand.hpp>

// The operands of a sweep, and the value that its body is given for each of them at a vector of columns:
//
//   in(block), inout(block), out(block)  the entries there; the block is a GradientView, a WeightsView, or a
//                                        BlockView with contiguous rows
//   in_if(used, block), inout_if(...)    the same as OptionalLanes, given where the block is used
//   per_row(value_of)                    value_of(row), found once for each row
//   per_column(line)                     numbers that the rows share
//   column_sums(line), group_sums(line)  a sum over the rows for each column
//   accumulate(x)                        x, which stays in registers
//
// Lines begin at the first column of the sweep. Views and accumulators are referred to, not copied.
namespace symopt { inline namespace SYMOPT_ABI { namespace kernel {

namespace detail {

/// An operand without windows.
struct Windowless {
  static constexpr bool limits_runs = false;
  struct NoWindows {};

  SYMOPT_INLINE Index run_from(Index) const { return unlimited; }
  template <int>
  SYMOPT_INLINE NoWindows open(const Run&) const {
    return {};
  }
};

template <class ValueOf>
struct PerRow : Windowless {
  ValueOf value_of;

  template <int rows>
  struct Cursor : CursorBase {
    std::invoke_result_t<const ValueOf&, Index> values[std::size_t{rows}];

    SYMOPT_INLINE auto& value(int row) const { return values[row]; }
  };
  template <class, int rows>
  SYMOPT_INLINE Cursor<rows> cursor(const Run& run, NoWindows) const {
    Cursor<rows> cursor;
    for (int row = 0; row < rows; ++row) cursor.values[row] = value_of(run.row + row);
    return cursor;
  }
};

template <class Scalar>
struct PerColumn : Windowless {
  const Scalar* line;

  struct Cursor : CursorBase {
    const Scalar* line;
    Lanes<Scalar> entries;

    SYMOPT_INLINE void begin(auto at) { entries = kernel::load(line, at); }
    SYMOPT_INLINE auto& value(int) const { return entries; }
  };
  template <class, int rows>
  SYMOPT_INLINE Cursor cursor(const Run& run, NoWindows) const {
    return {{}, line + run.offset, {}};
  }
};

template <bool is_of_group>
struct Sums : Windowless {
  double* line;

  template <class Scalar>
  struct Cursor : CursorBase {
    double* line;
    std::conditional_t<is_of_group, Lanes<Scalar>, DoubleLanes<Scalar>> sum;

    SYMOPT_INLINE void begin(auto at) {
      if constexpr (is_of_group) {
        sum = Lanes<Scalar>(Scalar(0));
      } else {
        sum = DoubleLanes<Scalar>::load(line + at.j);
      }
    }
    SYMOPT_INLINE auto& value(int) { return sum; }
    SYMOPT_INLINE void end(auto at) {
      if constexpr (is_of_group) {
        auto sums = DoubleLanes<Scalar>::load(line + at.j);
        sums.add(sum);
        sums.store(line + at.j);
      } else {
        sum.store(line + at.j);
      }
    }
  };
  template <class Scalar, int rows>
  SYMOPT_INLINE Cursor<Scalar> cursor(const Run& run, NoWindows) const {
    return {{}, line + run.offset, {}};
  }
};

template <class T>
struct Accumulator : Windowless {
  T& target;

  struct Cursor : CursorBase {
    T* target;
    T sum;

    SYMOPT_INLINE T& value(int) { return sum; }
    SYMOPT_INLINE void finish() { *target = sum; }
  };
  template <class, int rows>
  SYMOPT_INLINE Cursor cursor(const Run&, NoWindows) const {
    return {{}, &target, target};
  }
};

}  // namespace detail

/// The entries of a block.
///@{
template <Fetch fetch = Fetch::nothing, class View>
SYMOPT_INLINE auto in(const View& block) {
  return detail::block_operand<Access::in, fetch, false>(block, true);
}
template <Fetch fetch = Fetch::nothing, class View>
SYMOPT_INLINE auto inout(const View& block) {
  return detail::block_operand<Access::inout, fetch, false>(block, true);
}
template <Fetch fetch = Fetch::nothing, class View>
SYMOPT_INLINE auto out(const View& block) {
  return detail::block_operand<Access::out, fetch, false>(block, true);
}
///@}

/// The entries of a block as OptionalLanes: given where the block is used, or its memory is left alone.
///@{
template <Fetch fetch = Fetch::nothing, class View>
SYMOPT_INLINE auto in_if(bool is_used, const View& block) {
  return detail::block_operand<Access::in, fetch, true>(block, is_used);
}
template <Fetch fetch = Fetch::nothing, class View>
SYMOPT_INLINE auto inout_if(bool is_used, const View& block) {
  return detail::block_operand<Access::inout, fetch, true>(block, is_used);
}
///@}

/// value_of(row) of the row at hand: lanes, mostly.
template <class ValueOf>
SYMOPT_INLINE detail::PerRow<ValueOf> per_row(ValueOf value_of) {
  return {{}, value_of};
}
/// The numbers of a line at the columns at hand.
template <class Scalar>
SYMOPT_INLINE detail::PerColumn<Scalar> per_column(const Scalar* line) {
  return {{}, line};
}

/// Sums in double at the columns at hand, as DoubleLanes; the line is padded to whole vectors.
SYMOPT_INLINE detail::Sums<false> column_sums(double* line) {
  return {{}, line};
}
/// Lanes that are zero before the first row of a group, and are added to such sums after the last.
SYMOPT_INLINE detail::Sums<true> group_sums(double* line) {
  return {{}, line};
}
/// x itself. In registers for each run: a body that captured it would have it in memory.
template <class T>
SYMOPT_INLINE detail::Accumulator<T> accumulate(T& x) {
  return {{}, x};
}

}}}  // namespace symopt::kernel
