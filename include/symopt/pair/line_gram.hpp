// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/memory/buffer.hpp>
#include <symopt/memory/runs.hpp>
#include <symopt/product/packing.hpp>
#include <symopt/side.hpp>
#include <symopt/simd/load_store.hpp>

#include <algorithm>
#include <cstddef>

namespace symopt { inline namespace SYMOPT_ABI { namespace detail {

/// The Gram matrix X^T X of float lines, in double: sums of products that double holds exactly, so that the
/// error of an entry is at most (lines + lanes) 2^-53 |x_i| |x_j|. A slab of lines at a time is put in
/// double, as it lies in memory. Cost: L r^2 flops and a little more, for whole tiles on the diagonal.
template <class Double>
class LineGram {
  using L = kernel::Lanes<Double>;
  /// Tiles of sums in registers: of rows times vectors, and of rows times columns.
  static constexpr Index rows = L::size == 8 ? 8 : 4, vectors = L::size == 8 ? 1 : 2;
  static constexpr Index lines_of_tile = 4, columns_of_tile = L::size == 8 ? 4 : 2;

 public:
  /// The most lines of a slab: so many that adding up the lanes of a tile is little beside it.
  static constexpr Index slab_lines = 256;

  explicit LineGram(Index rank)
      : rank_(rank), padded_(kernel::round_up(rank, std::max<Index>(rows, vectors * L::size))) {}

  /// The numbers that a slab and that the sums take, in double.
  ///@{
  Index slab_size() const { return stride * padded_; }
  Index sums_size() const { return padded_ * padded_; }
  ///@}
  /// The rank in whole tiles.
  Index padded() const { return padded_; }

  /// Adds to the sums, on and under the diagonal, up to slab_lines lines: rows of the memory where the rank
  /// is on its right, columns where it is on the left. row(i, j, count, copy) shows `count` entries of row i
  /// of the memory from column j on, there or in the copy of kernel::window_size entries.
  void add(const auto& row, Side rank_side, Index count, Double* slab, Double* sums) const {
    if (rank_side == Side::right) {
      for (Index l = 0; l < count; ++l)
        for_each_window(rank_, [&](Index j, Index width, float* copy) {
          convert(row(l, j, width, copy), width, slab + l * padded_ + j);
        });
      add_products_of_lines(slab, count, sums);
    } else {
      for (Index j = 0; j < rank_; ++j)
        for_each_window(count, [&](Index l, Index width, float* copy) {
          convert(row(j, l, width, copy), width, slab + j * stride + l);
        });
      add_products_of_columns(slab, count, sums);
    }
  }
  /// Adds lines that lie in rows without gaps.
  void add(const float* lines, Index count, Double* slab, Double* sums) const {
    convert(lines, count * rank_, slab);
    add_products_of_lines(slab, count, sums);
  }
  /// Tests whether such lines lie in a slab as they do in memory.
  bool has_whole_tiles() const { return padded_ == rank_; }

  /// gram += what was added up on and under the diagonal, and its mirror image.
  void add_to(MatrixRef<Double> gram, const Double* sums) const {
    for (Index i = 0; i < rank_; ++i)
      for (Index j = 0; j <= i; ++j) gram.coeffRef(i, j) += sums[i * padded_ + j];
    for (Index i = 0; i < rank_; ++i)
      for (Index j = 0; j < i; ++j) gram.coeffRef(j, i) = gram.coeff(i, j);
  }

 private:
  /// From a column of a slab to the next: no power of two, with which all would share few places of a cache.
  static constexpr Index stride = slab_lines + L::size;

  static void for_each_window(Index count, const auto& visit) {
    alignas(kernel::lane_bytes) float copy[kernel::window_size];
    for (Index j = 0; j < count; j += kernel::window_size)
      visit(j, std::min(kernel::window_size, count - j), copy);
  }

  /// to <- from, and zeros up to a whole vector of doubles.
  SYMOPT_INLINE static void convert(const float* from, Index count, Double* to) {
    kernel::for_each_vector<float>(count, [=](auto at) SYMOPT_INLINE_LAMBDA {
      const kernel::Lanes<float> x = kernel::load(from, at);
      kernel::lower_half(x).store(to + at.j);
      if (count - at.j > L::size) kernel::upper_half(x).store(to + at.j + L::size);
    });
  }

  /// Each line of the slab is contiguous: its numbers one by one, times vectors of it.
  void add_products_of_lines(const Double* slab, Index count, Double* sums) const {
    for (Index i = 0; i < padded_; i += rows)
      for (Index j = 0; j < i + rows; j += vectors * L::size) {
        L sum[std::size_t(rows)][std::size_t(vectors)];
        Double* to = sums + i * padded_ + j;
#pragma GCC unroll 8
        for (Index a = 0; a < rows; ++a)
#pragma GCC unroll 2
          for (Index v = 0; v < vectors; ++v) sum[a][v] = L::load(to + a * padded_ + v * L::size);
        const Double* line = slab;
        for (Index l = 0; l < count; ++l, line += padded_) {
          L x[std::size_t(vectors)];
#pragma GCC unroll 2
          for (Index v = 0; v < vectors; ++v) x[v] = in_register(L::load(line + j + v * L::size));
#pragma GCC unroll 8
          for (Index a = 0; a < rows; ++a) {
            const L y(line[i + a]);
#pragma GCC unroll 2
            for (Index v = 0; v < vectors; ++v) sum[a][v] = multiply_add(y, x[v], sum[a][v]);
          }
        }
#pragma GCC unroll 8
        for (Index a = 0; a < rows; ++a)
#pragma GCC unroll 2
          for (Index v = 0; v < vectors; ++v) sum[a][v].store(to + a * padded_ + v * L::size);
      }
  }

  /// Each column is: vectors of lines, times those of another column, whose lanes are added up in the end.
  void add_products_of_columns(Double* slab, Index count, Double* sums) const {
    const Index whole = kernel::round_up(rank_, lines_of_tile);
    std::fill(slab + rank_ * stride, slab + whole * stride, Double(0));
    for (Index i = 0; i < whole; i += lines_of_tile)
      for (Index j = 0; j < i + lines_of_tile; j += columns_of_tile) {
        L sum[std::size_t(lines_of_tile)][std::size_t(columns_of_tile)];
#pragma GCC unroll 4
        for (Index a = 0; a < lines_of_tile; ++a)
#pragma GCC unroll 4
          for (Index c = 0; c < columns_of_tile; ++c) sum[a][c] = L(Double(0));
        const Double *of_rows = slab + i * stride, *of_columns = slab + j * stride;
        for (Index l = 0; l < count; l += L::size) {
          L x[std::size_t(columns_of_tile)];
#pragma GCC unroll 4
          for (Index c = 0; c < columns_of_tile; ++c)
            x[c] = in_register(L::load(of_columns + c * stride + l));
#pragma GCC unroll 4
          for (Index a = 0; a < lines_of_tile; ++a) {
            const L y = in_register(L::load(of_rows + a * stride + l));
#pragma GCC unroll 4
            for (Index c = 0; c < columns_of_tile; ++c) sum[a][c] = multiply_add(y, x[c], sum[a][c]);
          }
        }
#pragma GCC unroll 4
        for (Index a = 0; a < lines_of_tile; ++a) add_lanes(sum[a], sums + (i + a) * padded_ + j);
      }
  }

  /// to[c] += the sum of the lanes of x[c].
  SYMOPT_INLINE static void add_lanes(const L (&x)[std::size_t(columns_of_tile)], Double* to) {
    Double lanes[L::size];
#if defined(__AVX512F__)
    const L first = neighbours(x[0], x[1]), second = neighbours(x[2], x[3]);
    const auto low = __builtin_shufflevector(first.value, second.value, 0, 1, 8, 9, 4, 5, 12, 13);
    const auto high = __builtin_shufflevector(first.value, second.value, 2, 3, 10, 11, 6, 7, 14, 15);
    L(low + high).store(lanes);
#else
    neighbours(x[0], x[1]).store(lanes);
#endif
#pragma GCC unroll 4
    for (Index c = 0; c < columns_of_tile; ++c) {
      Double sum = lanes[c];
      for (Index k = c + columns_of_tile; k < L::size; k += columns_of_tile) sum += lanes[k];
      to[c] += sum;
    }
  }
  /// The sums of two lanes each of a and of b, in turn.
  SYMOPT_INLINE static L neighbours(L a, L b) {
#if defined(__AVX512F__)
    return L(__builtin_shufflevector(a.value, b.value, 0, 8, 2, 10, 4, 12, 6, 14) +
             __builtin_shufflevector(a.value, b.value, 1, 9, 3, 11, 5, 13, 7, 15));
#elif defined(__AVX__)
    return L(__builtin_shufflevector(a.value, b.value, 0, 4, 2, 6) +
             __builtin_shufflevector(a.value, b.value, 1, 5, 3, 7));
#else
    return L(__builtin_shufflevector(a.value, b.value, 0, 2) +
             __builtin_shufflevector(a.value, b.value, 1, 3));
#endif
  }

  Index rank_, padded_;
};

}}}  // namespace symopt::detail
