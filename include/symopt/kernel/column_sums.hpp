// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/kernel/buffer.hpp>
#include <symopt/kernel/step.hpp>

// Sums over the rows of a block, one for each column: every piece of rows adds up a line of its own, and the
// lines are added in the order of the pieces, whichever thread made them.
namespace symopt { inline namespace SYMOPT_ABI { namespace kernel {

/// What a line of columns is padded by, so that whole lanes may be read and written from its last entry on.
/// Ragged lanes hold zeros, which change no sum.
inline constexpr Index line_padding = 64 / sizeof(float);

inline Index padded(Index cols) {
  return (cols + line_padding - 1) / line_padding * line_padding + line_padding;
}

class ColumnSums {
 public:
  ColumnSums() = default;
  explicit ColumnSums(Shape shape)
      : pieces_(summed_pieces_of(shape)), stride_(padded(shape.cols)), lines_(pieces_.count * stride_) {}

  /// add(first row, end row, line) for each piece adds its rows onto a line of zeros; the result is the sum
  /// of all.
  template <class Add>
  const double* over(Shape shape, Add&& add) {
    const Pieces pieces = summed_pieces_of(shape);
    parallel_sweep(pieces.count, [&](Index piece) {
      double* line = lines_.data() + piece * stride_;
      std::fill(line, line + stride_, 0.0);
      add(pieces.first(piece), pieces.end(piece), line);
    });
    double* total = lines_.data();
    for (Index piece = 1; piece < pieces.count; ++piece) {
      const double* line = lines_.data() + piece * stride_;
      for (Index j = 0; j < shape.cols; ++j) total[j] += line[j];
    }
    return total;
  }

 private:
  Pieces pieces_;
  Index stride_ = 0;
  Buffer<double> lines_;
};

/// line[at] += x, or its square.
template <class Scalar, class At>
SYMOPT_INLINE void add_to(double* line, At at, Lanes<Scalar> x) {
  DoubleLanes<Scalar> sums = DoubleLanes<Scalar>::load(line + at.j);
  sums.add(x);
  sums.store(line + at.j);
}
template <class Scalar, class At>
SYMOPT_INLINE void add_square_to(double* line, At at, Lanes<Scalar> x) {
  DoubleLanes<Scalar> sums = DoubleLanes<Scalar>::load(line + at.j);
  sums.add_square(x);
  sums.store(line + at.j);
}

}}}  // namespace symopt::kernel
