// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/memory/buffer.hpp>
#include <symopt/product/packing.hpp>
#include <symopt/side.hpp>
#include <symopt/simd/load_store.hpp>

#include <algorithm>
#include <cstddef>

namespace symopt { inline namespace SYMOPT_ABI { namespace detail {

/// Lines times a small square, X C. Cost: 2 L r^2 flops. Each entry is a sum of r products in the order of
/// the columns, fused where the processor can: |error| <= r * unit roundoff * sum |x c|.
template <class Scalar>
class LineProduct {
  using L = kernel::Lanes<Scalar>;
  /// Tiles of sums in registers: of lines times vectors of columns, and of columns times vectors of lines.
  static constexpr Index group = L::size == 16 ? 8 : 4, vectors_of_line = L::size == 16 ? 1 : 2;
  static constexpr Index columns = 4, vectors = 2;

 public:
  explicit LineProduct(Index rank)
      : rank_(rank),
        padded_(kernel::round_up(rank, std::max<Index>(columns, L::size))),
        square_(rank * padded_) {}

  /// The entry of C, r x r, to be written.
  Scalar& entry(Index i, Index j) { return square_.data()[i * padded_ + j]; }

  /// Y <- X C for `count` lines: rows of memory where the rank is on its right, columns where it is on the
  /// left. The strides are those of the memory's rows; Y lies apart from X.
  void apply(const Scalar* x, Index x_stride, Side rank_side, Index count, Scalar* y, Index y_stride) const {
    if (rank_side == Side::right) {
      for (Index l = 0; l < count; l += group)
        multiply_rows(x + l * x_stride, x_stride, std::min(group, count - l), y + l * y_stride, y_stride);
    } else {
      constexpr Index piece = vectors * L::size;
      Index l = 0;
      for (; l + piece <= count; l += piece)
        multiply_columns<vectors>(x, x_stride, kernel::FullVector{l}, y, y_stride);
      kernel::for_each_vector<Scalar>(count - l, [&](auto at) {
        at.j += l;
        multiply_columns<1>(x, x_stride, at, y, y_stride);
      });
    }
  }

 private:
  void multiply_rows(const Scalar* x, Index x_stride, Index lines, Scalar* y, Index y_stride) const {
    const Scalar* line[static_cast<std::size_t>(group)];
    for (Index l = 0; l < group; ++l) line[l] = x + std::min(l, lines - 1) * x_stride;  // the last one again
    constexpr Index piece = vectors_of_line * L::size;
    Index j = 0;
    for (; j + piece <= rank_; j += piece)
      multiply_rows<vectors_of_line>(line, lines, kernel::FullVector{j}, y, y_stride);
    kernel::for_each_vector<Scalar>(rank_ - j, [&](auto at) {
      at.j += j;
      multiply_rows<1>(line, lines, at, y, y_stride);
    });
  }
  /// Vectors of columns from `at` on; one, where that is not a whole one.
  template <Index count>
  SYMOPT_INLINE void multiply_rows(const Scalar* const* line, Index lines, auto at, Scalar* y,
                                   Index y_stride) const {
    L sum[std::size_t(group)][std::size_t(count)];
#pragma GCC unroll 8
    for (Index l = 0; l < group; ++l)
#pragma GCC unroll 2
      for (Index v = 0; v < count; ++v) sum[l][v] = L(Scalar(0));
    const Scalar* row = square_.data() + at.j;
    for (Index k = 0; k < rank_; ++k, row += padded_) {
      L c[std::size_t(count)];
#pragma GCC unroll 2
      for (Index v = 0; v < count; ++v) c[v] = in_register(L::load(row + v * L::size));
#pragma GCC unroll 8
      for (Index l = 0; l < group; ++l) {
        const L x(line[l][k]);
#pragma GCC unroll 2
        for (Index v = 0; v < count; ++v) sum[l][v] = multiply_add(x, c[v], sum[l][v]);
      }
    }
#pragma GCC unroll 8
    for (Index l = 0; l < group; ++l)
      if (l < lines)
#pragma GCC unroll 2
        for (Index v = 0; v < count; ++v) kernel::store(y + l * y_stride + v * L::size, at, sum[l][v]);
  }

  /// Vectors of lines from `at` on; one, where that is not a whole one.
  template <Index count>
  SYMOPT_INLINE void multiply_columns(const Scalar* x, Index x_stride, auto at, Scalar* y,
                                      Index y_stride) const {
    for (Index i = 0; i < rank_; i += columns) {
      L sum[std::size_t(columns)][std::size_t(count)];
#pragma GCC unroll 8
      for (Index a = 0; a < columns; ++a)
#pragma GCC unroll 2
        for (Index v = 0; v < count; ++v) sum[a][v] = L(Scalar(0));
      const Scalar *from = x, *factors = square_.data() + i;
      for (Index k = 0; k < rank_; ++k, from += x_stride, factors += padded_) {
        L lanes[std::size_t(count)];
#pragma GCC unroll 2
        for (Index v = 0; v < count; ++v) lanes[v] = in_register(kernel::load(from + v * L::size, at));
#pragma GCC unroll 8
        for (Index a = 0; a < columns; ++a) {
          const L factor(factors[a]);
#pragma GCC unroll 2
          for (Index v = 0; v < count; ++v) sum[a][v] = multiply_add(factor, lanes[v], sum[a][v]);
        }
      }
#pragma GCC unroll 8
      for (Index a = 0; a < columns; ++a)
        if (i + a < rank_)
#pragma GCC unroll 2
          for (Index v = 0; v < count; ++v)
            kernel::store(y + (i + a) * y_stride + v * L::size, at, sum[a][v]);
    }
  }

  Index rank_, padded_;
  kernel::Buffer<Scalar> square_;
};

}}}  // namespace symopt::detail
