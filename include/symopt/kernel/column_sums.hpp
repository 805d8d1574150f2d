// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/kernel/reduction.hpp>
#include <symopt/memory/buffer.hpp>

#include <algorithm>

namespace symopt { inline namespace SYMOPT_ABI { namespace kernel {

/// The padding of a line of columns, in entries: whole lanes may be read and written from its last entry on.
/// The lanes of a tail hold zeros, which change no sum.
inline constexpr Index line_padding = 64 / sizeof(float);

inline Index padded(Index cols) {
  return (cols + line_padding - 1) / line_padding * line_padding + line_padding;
}

/// Sums over the rows of a block, one for each column: every chunk of rows adds up a line of its own, and the
/// lines are added in the order of the chunks, whichever thread, or process, made them.
class ColumnSums {
 public:
  ColumnSums() = default;
  explicit ColumnSums(Shape shape)
      : chunks_(reduction_chunks(shape)), stride_(padded(shape.cols)), lines_(chunks_.count * stride_) {}

  /// add(rows, line) for each chunk adds its rows onto a line of zeros; the result is the sum of all, and of
  /// those of a reduction's other processes. Valid until the next sum.
  template <class Add, class Reduction = NoReduction>
  const double* over(Shape shape, Add&& add, const Reduction& reduction = {}) {
    const Chunks chunks = reduction.chunks(shape);
    parallel_sweep(chunks.count, [&](Index chunk) {
      double* line = lines_.data() + chunk * stride_;
      std::fill(line, line + stride_, 0.0);
      add(chunks[chunk], line);
    });
    return sum_in_place(reduction.gathered({lines_.data(), chunks.count, shape.cols, stride_}));
  }

 private:
  Chunks chunks_;
  Index stride_ = 0;
  Buffer<double> lines_;
};

}}}  // namespace symopt::kernel
