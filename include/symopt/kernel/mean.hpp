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

/// line <- line + the sum of all rows, in a strip of columns.
template <class Scalar>
void add_rows(const BlockView<Scalar>& block, Range columns, double* line) {
  sweep(
      Range{0, block.row_count()}, columns,
      [](Lanes<Scalar> x, DoubleLanes<Scalar>& sum) SYMOPT_INLINE_LAMBDA { sum.add(x); }, in(block),
      column_sums(line));
}

/// Subtracts from the rows, in a strip of columns, the means: rounded ones, and then what rounding took.
template <class Scalar>
void subtract_means(const BlockView<Scalar>& block, Range columns, const double* means) {
  using L = Lanes<Scalar>;
  alignas(64) Scalar mean[strip_columns], rest[strip_columns];
  for (Index j = 0; j < columns.end - columns.begin; ++j) {
    mean[j] = static_cast<Scalar>(means[j]);
    rest[j] = static_cast<Scalar>(means[j] - static_cast<double>(mean[j]));
  }
  sweep(
      Range{0, block.row_count()}, columns,
      [](L& x, L mean_here, L rest_here) SYMOPT_INLINE_LAMBDA { x = (x - mean_here) - rest_here; },
      inout(block), per_column<Scalar>(mean), per_column<Scalar>(rest));
}

/// Subtracts from every row the mean row, summed in double: block <- (I - 1 1^T / rows) block. Two reads of
/// the block and one write. The block's rows are contiguous.
template <class Scalar>
void subtract_mean_row(const BlockView<Scalar>& block) {
  const Index rows = block.row_count();
  if (rows == 0) return;
  for_each_strip(block.cols.size, [&](Range columns) {
    alignas(64) double sums[strip_columns + line_padding] = {};
    add_rows(block, columns, sums);
    for (Index j = 0; j < columns.end - columns.begin; ++j)
      sums[j] = mean_from(sums[j], rows, [&](auto&& visit) {
        for (Index i = 0; i < rows; ++i) visit(block.row(i)[columns.begin + j]);
      });
    subtract_means(block, columns, sums);
  });
}

/// Subtracts the mean row of the whole block from those rows of it that one process has: one process after
/// the other adds its rows onto the sums, so that they have the bits of one process with all rows.
template <class Scalar>
void subtract_mean_row(const BlockView<Scalar>& block, const auto& reduction) {
  const Shape part = symopt::detail::shape_of(block);
  const Index rows = reduction.whole(part).rows;
  if (rows == 0) return;
  double* sums = reduction.continued(part.cols, [&](double* line) {
    for_each_strip(part.cols, [&](Range columns) { add_rows(block, columns, line + columns.begin); });
  });
  for (Index j = 0; j < part.cols; ++j) {
    const auto column = [&](auto&& show) {
      for (Index i = 0; i < part.rows; ++i) show(block.row(i)[j]);
    };
    sums[j] = mean_from(sums[j], rows, [&](auto&& visit) { reduction.template scan<Scalar>(column, visit); });
  }
  for_each_strip(part.cols, [&](Range columns) { subtract_means(block, columns, sums + columns.begin); });
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
