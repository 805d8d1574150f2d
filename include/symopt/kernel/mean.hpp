// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/finite.hpp>
#include <symopt/kernel/column_sums.hpp>
#include <symopt/kernel/sweep.hpp>

namespace symopt { inline namespace SYMOPT_ABI { namespace kernel {

/// work(columns) for strips of columns, on all threads: for what sums over rows without memory of its own.
inline constexpr Index strip_columns = 128;
template <class Work>
void for_each_strip(Index cols, Work&& work) {
  parallel_sweep((cols + strip_columns - 1) / strip_columns, [&](Index strip) {
    work(Range{strip * strip_columns, std::min(cols, (strip + 1) * strip_columns)});
  });
}

/// The mean of `count` numbers from their sum. Where that left double's range, the parts of the mean are
/// added up: `scan` shows all numbers to a function.
template <class Scan>
double mean_from(double sum, Index count, Scan&& scan) {
  const double number = static_cast<double>(count);
  if (symopt::detail::is_finite(sum)) [[likely]]
    return sum / number;
  double mean = 0;
  scan([&](auto x) { mean += static_cast<double>(x) / number; });
  return mean;
}

/// Subtracts from every row the mean row, summed in double: block <- (I - 1 1^T / rows) block. Two reads of
/// the block and one write. The block's rows are contiguous.
template <class Scalar>
void subtract_mean_row(const BlockView<Scalar>& block) {
  using L = Lanes<Scalar>;
  const Range rows{0, block.row_count()};
  if (rows.end == 0) return;
  for_each_strip(block.cols.size, [&](Range columns) {
    alignas(64) double sums[strip_columns + line_padding] = {};
    alignas(64) Scalar mean[strip_columns], rest[strip_columns];
    sweep(
        rows, columns, [](L x, DoubleLanes<Scalar>& sum) SYMOPT_INLINE_LAMBDA { sum.add(x); }, in(block),
        column_sums(sums));
    for (Index j = 0; j < columns.end - columns.begin; ++j) {
      const double exact = mean_from(sums[j], rows.end, [&](auto&& visit) {
        for (Index i = 0; i < rows.end; ++i) visit(block.row(i)[columns.begin + j]);
      });
      mean[j] = static_cast<Scalar>(exact);
      rest[j] = static_cast<Scalar>(exact - static_cast<double>(mean[j]));
    }
    sweep(
        rows, columns,
        [](L& x, L mean_here, L rest_here) SYMOPT_INLINE_LAMBDA { x = (x - mean_here) - rest_here; },
        inout(block), per_column<Scalar>(mean), per_column<Scalar>(rest));
  });
}

/// Subtracts from every column the mean column: block <- block (I - 1 1^T / cols).
template <class Scalar>
void subtract_mean_column(const BlockView<Scalar>& block) {
  using L = Lanes<Scalar>;
  const Range columns{0, block.cols.size};
  if (columns.end == 0) return;
  for_each_chunk(chunks_of(symopt::detail::shape_of(block)), [&](Range rows) {
    for (Index i = rows.begin; i < rows.end; ++i) {
      DoubleLanes<Scalar> sums;
      sweep(
          {i, i + 1}, columns, [](L x, DoubleLanes<Scalar>& sum) SYMOPT_INLINE_LAMBDA { sum.add(x); },
          in(block), accumulate(sums));
      const double exact = mean_from(sums.sum(), columns.end, [&](auto&& visit) {
        for (Index j = 0; j < columns.end; ++j) visit(block.row(i)[j]);
      });
      const Scalar rounded = static_cast<Scalar>(exact);
      const L mean(rounded), rest(static_cast<Scalar>(exact - static_cast<double>(rounded)));
      sweep(
          {i, i + 1}, columns, [=](L& x) SYMOPT_INLINE_LAMBDA { x = (x - mean) - rest; }, inout(block));
    }
  });
}

}}}  // namespace symopt::kernel
