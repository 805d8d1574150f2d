// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/kernel/chunks.hpp>
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
/// lines are added in the order of the chunks, whichever thread made them.
class ColumnSums {
 public:
  ColumnSums() = default;
  explicit ColumnSums(Shape shape)
      : chunks_(reduction_chunks(shape)), stride_(padded(shape.cols)), lines_(chunks_.count * stride_) {}

  /// add(rows, line) for each chunk adds its rows onto a line of zeros; the result is the sum of all.
  template <class Add>
  const double* over(Shape shape, Add&& add) {
    const Chunks chunks = reduction_chunks(shape);
    parallel_sweep(chunks.count, [&](Index chunk) {
      double* line = lines_.data() + chunk * stride_;
      std::fill(line, line + stride_, 0.0);
      add(chunks[chunk], line);
    });
    double* total = lines_.data();
    for (Index chunk = 1; chunk < chunks.count; ++chunk) {
      const double* line = lines_.data() + chunk * stride_;
      for (Index j = 0; j < shape.cols; ++j) total[j] += line[j];
    }
    return total;
  }

 private:
  Chunks chunks_;
  Index stride_ = 0;
  Buffer<double> lines_;
};

}}}  // namespace symopt::kernel
