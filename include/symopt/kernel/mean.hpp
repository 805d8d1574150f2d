// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/kernel/column_sums.hpp>

namespace symopt { inline namespace SYMOPT_ABI { namespace kernel {

/// work(begin, end) for strips of columns, on all threads: for what sums over rows without memory of its own.
inline constexpr Index strip_columns = 128;
template <class Work>
void for_each_strip(Index cols, Work&& work) {
  parallel_sweep((cols + strip_columns - 1) / strip_columns, [&](Index strip) {
    work(strip * strip_columns, std::min(cols, (strip + 1) * strip_columns));
  });
}

/// Subtracts from every row the mean row, summed in double: block <- (I - 1 1^T / rows) block. Two reads of
/// the block and one write. The block's rows are contiguous.
template <class Scalar>
void subtract_mean_row(const BlockView<Scalar>& block) {
  const Index rows = block.row_count();
  if (rows == 0) return;
  for_each_strip(block.cols.size, [&](Index begin, Index end) {
    alignas(64) double sums[strip_columns + line_padding] = {};
    alignas(64) Scalar mean[strip_columns], rest[strip_columns];
    for (Index i = 0; i < rows; ++i) {
      const Scalar* x = block.row(i) + begin;
      for_each_place<Scalar>(end - begin, [&](auto at) SYMOPT_INLINE_LAMBDA {
        add_to(static_cast<double*>(sums), at, load(x, at));
      });
    }
    for (Index j = 0; j < end - begin; ++j) {
      const double exact = sums[j] / static_cast<double>(rows);
      mean[j] = static_cast<Scalar>(exact);
      rest[j] = static_cast<Scalar>(exact - static_cast<double>(mean[j]));
    }
    for (Index i = 0; i < rows; ++i) {
      Scalar* x = block.row(i) + begin;
      const Scalar *m = mean, *r = rest;
      for_each_place<Scalar>(end - begin, [&](auto at) SYMOPT_INLINE_LAMBDA {
        store(x, at, (load(x, at) - load(m, at)) - load(r, at));
      });
    }
  });
}

/// Subtracts from every column the mean column: block <- block (I - 1 1^T / cols).
template <class Scalar>
void subtract_mean_column(const BlockView<Scalar>& block) {
  const Index cols = block.cols.size;
  if (cols == 0) return;
  for_each_piece(pieces_of(shape_of(block)), [&](Index first, Index end) {
    for (Index i = first; i < end; ++i) {
      Scalar* x = block.row(i);
      DoubleLanes<Scalar> sums;
      for_each_place<Scalar>(cols, [&](auto at) SYMOPT_INLINE_LAMBDA { sums.add(load(x, at)); });
      const double exact = sums.sum() / static_cast<double>(cols);
      const Scalar rounded = static_cast<Scalar>(exact);
      const Lanes<Scalar> mean(rounded), rest(static_cast<Scalar>(exact - static_cast<double>(rounded)));
      for_each_place<Scalar>(
          cols, [&](auto at) SYMOPT_INLINE_LAMBDA { store(x, at, (load(x, at) - mean) - rest); });
    }
  });
}

}}}  // namespace symopt::kernel
