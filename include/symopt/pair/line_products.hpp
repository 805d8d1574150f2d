// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/matrix.hpp>
#include <symopt/memory/buffer.hpp>
#include <symopt/product/packing.hpp>
#include <symopt/side.hpp>
#include <symopt/simd/lanes.hpp>

#include <algorithm>
#include <cstddef>

// Products of few columns with many lines, without the packing that pays for larger ones.
namespace symopt { inline namespace SYMOPT_ABI { namespace detail {

/// The Gram matrix X^T X of float lines, in double: sums of products that double holds exactly. A slab of
/// lines at a time is put side by side in double. Cost: L r^2 flops.
template <class Double>
class LineGram {
 public:
  explicit LineGram(Index rank)
      : rank_(rank),
        padded_(kernel::round_up(rank, tile)),
        slab_(slab_lines * padded_),
        sums_(padded_ * padded_) {}

  void clear() { std::fill(sums_.data(), sums_.data() + sums_.size(), Double(0)); }

  /// Adds the lines of a block of that shape in memory; read(row, col, count, to) reads up to 512 entries of
  /// a row.
  template <class Scalar>
  void add(Shape shape, Side rank_side, const auto& read) {
    constexpr Index window = 512;
    Scalar run[window];
    const Index lines = rank_side == Side::right ? shape.rows : shape.cols;
    for (Index first = 0; first < lines; first += slab_lines) {
      const Index count = std::min(slab_lines, lines - first);
      Double* slab = slab_.data();
      if (rank_side == Side::right) {
        for (Index l = 0; l < count; ++l)
          for (Index j = 0; j < rank_; j += window) {
            const Index width = std::min(window, rank_ - j);
            read(first + l, j, width, run);
            for (Index k = 0; k < width; ++k) slab[l * padded_ + j + k] = static_cast<Double>(run[k]);
          }
      } else {
        for (Index j = 0; j < rank_; ++j) {
          read(j, first, count, run);
          for (Index l = 0; l < count; ++l) slab[l * padded_ + j] = static_cast<Double>(run[l]);
        }
      }
      add_slab(count);
    }
  }

  /// The sum over all lines that were added since clear().
  void write(MatrixRef<Double> gram) const {
    for (Index i = 0; i < rank_; ++i)
      for (Index j = 0; j <= i; ++j)
        gram.coeffRef(i, j) = gram.coeffRef(j, i) = sums_.data()[i * padded_ + j];
  }

 private:
  using L = kernel::Lanes<Double>;
  static constexpr Index slab_lines = 64, rows = 8, tile = std::max<Index>(rows, L::size);

  void add_slab(Index count) {
    for (Index i = 0; i < padded_; i += rows)
      for (Index j = 0; j <= i + rows - 1; j += L::size) {
        L sum[rows];
        Double* to = sums_.data() + i * padded_ + j;
#pragma GCC unroll 8
        for (Index a = 0; a < rows; ++a) sum[a] = L::load(to + a * padded_);
        const Double* line = slab_.data();
        for (Index l = 0; l < count; ++l, line += padded_) {
          const L x = L::load(line + j);
#pragma GCC unroll 8
          for (Index a = 0; a < rows; ++a) sum[a] = multiply_add(L(line[i + a]), x, sum[a]);
        }
#pragma GCC unroll 8
        for (Index a = 0; a < rows; ++a) sum[a].store(to + a * padded_);
      }
  }

  Index rank_, padded_;
  kernel::Buffer<Double> slab_, sums_;
};

/// Lines times a small square, X <- X C, some lines at a time. Cost: 2 L r^2 flops.
template <class Scalar>
class LineProduct {
 public:
  explicit LineProduct(Index rank)
      : rank_(rank), padded_(kernel::round_up(rank, width)), square_(rank * padded_), copy_(group * rank) {}

  /// The square, rank x rank, to be written.
  Scalar& entry(Index i, Index j) { return square_.data()[i * padded_ + j]; }

  /// X <- (scale X) C.
  void apply(MatrixRef<Scalar> x, Scalar scale) {
    for (Index first = 0; first < x.rows(); first += group) {
      const Index lines = std::min(group, x.rows() - first);
      Scalar* copy = copy_.data();
      for (Index l = 0; l < group; ++l) {  // those beyond the last are its copies, and thrown away
        const Scalar* from = &x.coeffRef(first + std::min(l, lines - 1), 0);
        for (Index k = 0; k < rank_; ++k) copy[l * rank_ + k] = scale * from[k];
      }
      for (Index j = 0; j < rank_; j += width) {
        L sum[group];
#pragma GCC unroll 8
        for (Index l = 0; l < group; ++l) sum[l] = L(Scalar(0));
        for (Index k = 0; k < rank_; ++k) {
          const L row = L::load(square_.data() + k * padded_ + j);
#pragma GCC unroll 8
          for (Index l = 0; l < group; ++l) sum[l] = multiply_add(L(copy[l * rank_ + k]), row, sum[l]);
        }
        Scalar out[static_cast<std::size_t>(group)][static_cast<std::size_t>(width)];
#pragma GCC unroll 8
        for (Index l = 0; l < group; ++l) sum[l].store(out[l]);
        const Index count = std::min(width, rank_ - j);
        for (Index l = 0; l < lines; ++l) std::copy(out[l], out[l] + count, &x.coeffRef(first + l, j));
      }
    }
  }

 private:
  using L = kernel::Lanes<Scalar>;
  static constexpr Index group = 8, width = L::size;

  Index rank_, padded_;
  kernel::Buffer<Scalar> square_, copy_;
};

}}}  // namespace symopt::detail
