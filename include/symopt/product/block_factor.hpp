// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/finite.hpp>
#include <symopt/product/products.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace symopt { inline namespace SYMOPT_ABI { namespace kernel {

/// The Cholesky factor of a block on the diagonal, packed for solves with strips of columns.
template <class Scalar>
class BlockFactor {
  using Tile = MicroTile<Scalar>;

 public:
  explicit BlockFactor(Index edge)
      : capacity_(round_up(edge, Tile::rows)),
        upper_(capacity_ * round_up(edge, Tile::cols)),
        lower_rows_(capacity_ * capacity_),
        lower_cols_(capacity_ * capacity_),
        inverse_diagonal_(capacity_) {}

  /// Factors the symmetric block at `from`, of which the lower triangle is read. False when it is not
  /// positive definite to working precision.
  bool factor(const Scalar* from, Index stride, Index edge) {
    edge_ = edge;
    depth_ = round_up(edge, Tile::rows);
    for (Index j = 0; j < edge; j += Tile::cols)
      pack<Tile::cols>(Operand<Scalar>{from + j * stride, 1, stride}, edge, std::min(Tile::cols, edge - j),
                       Scalar(1), upper_.data() + j * depth_);
    for (Index i = 0; i < depth_; i += Tile::rows)
      if (!factor_rows(from, stride, i)) return false;
    return true;
  }

  /// strip <- L^-1 strip, for a strip of columns of the block's rows, rounded up to those of a micro-tile;
  /// the ones past the block must be zero.
  void solve(Scalar* strip) const {
    for (Index i = 0; i < depth_; i += Tile::rows) solve_rows(i, lower_rows_.data() + i * depth_, strip);
  }

  /// strip <- L^-T strip.
  void solve_transposed(Scalar* strip) const {
    for (Index i = depth_ - Tile::rows; i >= 0; i -= Tile::rows) {
      const Scalar* factor = lower_cols_.data() + i * depth_;
      Tile tile;
      tile.clear();
      tile.add_product(depth_ - i - Tile::rows, factor + (i + Tile::rows) * Tile::rows,
                       strip + (i + Tile::rows) * Tile::cols);
      tile.subtract_from(strip + i * Tile::cols);
#pragma GCC unroll 16
      for (Index r = Tile::rows - 1; r >= 0; --r) {
#pragma GCC unroll 16
        for (Index q = r + 1; q < Tile::rows; ++q)
          for (Index v = 0; v < Tile::vectors; ++v)
            tile.sum[r][v] -= factor[(i + q) * Tile::rows + r] * tile.sum[q][v];
        for (Index v = 0; v < Tile::vectors; ++v) tile.sum[r][v] *= inverse_diagonal_.data()[i + r];
      }
      tile.store_to(strip + i * Tile::cols);
    }
  }

 private:
  /// Rows [i, i + Tile::rows) of strip <- those rows of L^-1 strip, given the rows above.
  void solve_rows(Index i, const Scalar* factor, Scalar* strip) const {
    Tile tile;
    tile.clear();
    tile.add_product(i, factor, strip);
    tile.subtract_from(strip + i * Tile::cols);
#pragma GCC unroll 16
    for (Index r = 0; r < Tile::rows; ++r) {
#pragma GCC unroll 16
      for (Index q = 0; q < r; ++q)
        for (Index v = 0; v < Tile::vectors; ++v)
          tile.sum[r][v] -= factor[(i + q) * Tile::rows + r] * tile.sum[q][v];
      for (Index v = 0; v < Tile::vectors; ++v) tile.sum[r][v] *= inverse_diagonal_.data()[i + r];
    }
    tile.store_to(strip + i * Tile::cols);
  }

  /// The next rows of L^T: their part of L from what is known, the small block on the diagonal, then the rest
  /// of the rows in every strip to the right.
  bool factor_rows(const Scalar* from, Index stride, Index i) {
    constexpr Index rows = Tile::rows;
    Scalar* lower = lower_rows_.data() + i * depth_;
    const auto upper = [&](Index j) -> Scalar* {
      return upper_.data() + j / Tile::cols * Tile::cols * depth_ + j % Tile::cols;
    };
    for (Index r = 0; r < rows; ++r) {
      const bool exists = i + r < edge_;
      const Scalar* column = upper(exists ? i + r : 0);
      for (Index k = 0; k < i; ++k) lower[k * rows + r] = exists ? column[k * Tile::cols] : Scalar(0);
    }
    Scalar square[std::size_t{rows}][std::size_t{rows}] = {};
    for (Index k = 0; k < i; ++k)
      for (Index r = 0; r < rows; ++r)
        for (Index q = 0; q < rows; ++q) square[r][q] += lower[k * rows + r] * lower[k * rows + q];
    for (Index r = 0; r < rows; ++r)
      for (Index q = 0; q < rows; ++q) {
        const bool exists = i + r < edge_ && i + q < edge_;
        square[r][q] = exists ? from[(i + r) * stride + i + q] - square[r][q] : Scalar(r == q);
      }
    for (Index q = 0; q < rows; ++q) {
      Scalar pivot = square[q][q];
      for (Index k = 0; k < q; ++k) pivot -= square[q][k] * square[q][k];
      if (!(pivot > Scalar(0)) || !symopt::detail::is_finite(pivot)) return false;
      const Scalar root = std::sqrt(pivot);
      const Scalar inverse = Scalar(1) / root;
      inverse_diagonal_.data()[i + q] = inverse;
      square[q][q] = root;
      for (Index r = q + 1; r < rows; ++r) {
        Scalar entry = square[r][q];
        for (Index k = 0; k < q; ++k) entry -= square[r][k] * square[q][k];
        square[r][q] = entry * inverse;
      }
    }
    for (Index q = 0; q < rows; ++q)
      for (Index r = 0; r < rows; ++r) lower[(i + q) * rows + r] = r >= q ? square[r][q] : Scalar(0);

    for (Index j = i / Tile::cols * Tile::cols; j < edge_; j += Tile::cols)
      if (j + Tile::cols > i + rows) solve_rows_of_factor(i, lower, upper_.data() + j * depth_);
    // L^T as the rows that solve_transposed broadcasts: entry [j][r] is L(j, i + r).
    Scalar* transposed = lower_cols_.data() + i * depth_;
    for (Index j = i; j < depth_; ++j)
      for (Index r = 0; r < rows; ++r) {
        const bool is_inside = j >= i + rows && j < edge_;
        transposed[j * rows + r] = j < i + rows ? (j - i >= r ? square[j - i][r] : Scalar(0))
                                   : is_inside  ? upper(j)[(i + r) * Tile::cols]
                                                : Scalar(0);
      }
    return true;
  }

  void solve_rows_of_factor(Index i, const Scalar* lower, Scalar* strip) {
    // The block's rows past its end do not exist in the strip of the factor, but in its memory they do.
    solve_rows(i, lower, strip);
  }

  Index capacity_;
  Index edge_ = 0;
  Index depth_ = 0;
  Buffer<Scalar> upper_;
  Buffer<Scalar> lower_rows_;
  Buffer<Scalar> lower_cols_;
  Buffer<Scalar> inverse_diagonal_;
};

}}}  // namespace symopt::kernel
