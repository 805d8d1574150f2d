// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/kernel/products.hpp>

#include <cmath>
#include <vector>

// The inverses of symmetric positive definite matrices by block sweeps, each led by a Cholesky factorization.
//
// A sweep of block p turns the matrix, seen as blocks, from [-inverse of what was swept, R; R^T, Schur
// complement] into the same with block p among the swept: with L L^T the factorization of the block on the
// diagonal, V the rest of its rows and T = L^-1 V, every other tile loses T^T T, the rows become L^-T T, and
// the block itself -(L L^T)^-1. The Schur complements are those of a blocked Cholesky factorization, with its
// stability, and the flops are those of factorization and inversion, k^3; but every sweep updates the whole
// triangle, so that threads share it evenly, and several matrices go through the sweeps together.
// Source: Goodnight, "A Tutorial on the SWEEP Operator", 1979; Bauer and Reinsch, "Inversion of positive
// definite matrices by the Gauss-Jordan method", 1971, for the stability.
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
    Scalar square[rows][rows] = {};
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
      if (!(pivot > Scalar(0)) || !std::isfinite(pivot)) return false;
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

/// The edge of the blocks that are swept: by size alone.
constexpr Index sweep_edge(Index size) {
  return size <= 1024 ? block_edge : 2 * block_edge;
}

enum class InverseStatus { pending, done, not_definite };

/// The memory of invert_shifted for `count` matrices of `size` that are inverted together.
template <class Scalar>
struct InverseMemory {
  using Tile = MicroTile<Scalar>;

  struct One {
    One(Index size, Index edge)
        : factor(edge),
          cols(round_up(edge, Tile::rows) * round_up(size, Tile::cols)),
          rows(round_up(edge, Tile::rows) * round_up(size, Tile::rows)),
          square(size * square_stride(size)) {}

    BlockFactor<Scalar> factor;
    Buffer<Scalar> cols;    // T, as strips of columns
    Buffer<Scalar> rows;    // and of rows
    Buffer<Scalar> square;  // the matrix that is swept; only tiles on and under the diagonal are valid
    Scalar shift = 0;
    Scalar weight = 0;         // in an InverseSum
    bool is_factored = false;  // the next block to be swept; false where a pivot was not positive
    InverseStatus status = InverseStatus::pending;
  };

  /// The edge of the blocks that are swept, block_edge or twice that, is chosen by size.
  InverseMemory(Index size, int count) : InverseMemory(size, count, sweep_edge(size)) {}
  InverseMemory(Index size, int count, Index sweep) : edge(sweep) {
    for (int i = 0; i < count; ++i) each.emplace_back(size, std::min(size, edge));
  }

  Index edge;
  std::vector<One> each;
};

/// For each of memory.each that is pending: square <- -(matrix + shift I)^-1, rows square_stride(size) apart,
/// in tiles on and under the diagonal. It is done, or not definite to working precision when a pivot says so.
/// Reads the lower triangle of `matrix`. k^3 flops for each.
template <class Scalar>
void invert_shifted(const MatrixRef<Scalar>& matrix, InverseMemory<Scalar>& memory) {
  using Tile = MicroTile<Scalar>;
  using One = typename InverseMemory<Scalar>::One;
  const Index size = matrix.rows();
  const Index edge = memory.edge;
  const Index count = static_cast<Index>(memory.each.size());
  const Index blocks = block_count(size);
  const double area = static_cast<double>(count) * static_cast<double>(size) * static_cast<double>(size);
  const auto of = [&](Index m) -> One& { return memory.each[static_cast<std::size_t>(m)]; };
  const Index stride = square_stride(size);
  const auto entry = [&](One& one, Index i, Index j) { return one.square.data() + i * stride + j; };
  const auto is_pending = [](const One& one) { return one.status == InverseStatus::pending; };
  const auto factor = [&](One& one, Index first) {
    one.is_factored = one.factor.factor(entry(one, first, first), stride, std::min(edge, size - first));
  };

  share_work(count * blocks, 20 * area, [&](Index t) {
    One& one = of(t % count);
    if (!is_pending(one)) return;
    const Index end = std::min(size, (t / count + 1) * block_edge);
    const Index begin = t / count * block_edge;
    for (Index i = begin; i < end; ++i) {
      std::copy_n(matrix.data() + i * matrix.outerStride(), i + 1, entry(one, i, 0));
      *entry(one, i, i) += one.shift;
      for (Index j = begin; j < i; ++j) *entry(one, j, i) = *entry(one, i, j);
    }
  });
  share_work(count, 2 * static_cast<double>(edge * edge * edge), [&](Index m) {
    if (is_pending(of(m))) factor(of(m), 0);
  });

  for (Index first = 0; first < size; first += edge) {
    for (One& one : memory.each)
      if (is_pending(one) && !one.is_factored) one.status = InverseStatus::not_definite;
    const Index height = std::min(edge, size - first);
    const Index last = first + height;
    const Index depth = round_up(height, Tile::rows);
    const double flops = area * static_cast<double>(height);

    share_work(count * blocks, 2 * flops, [&](Index t) {
      One& one = of(t % count);
      if (!is_pending(one)) return;
      const Index begin = t / count * block_edge, end = std::min(size, begin + block_edge);
      for (Index j = begin; j < end; j += Tile::cols) {
        const Index width = std::min(Tile::cols, end - j);
        Scalar* strip = one.cols.data() + j * depth;
        const bool is_own = j >= first && j < last;
        if (is_own) {  // L^-1 itself
          std::fill(strip, strip + depth * Tile::cols, Scalar(0));
          for (Index c = 0; c < width; ++c) strip[(j - first + c) * Tile::cols + c] = Scalar(1);
        } else {
          const Operand<Scalar> source = j < first ? Operand<Scalar>{entry(one, first, j), stride, 1}
                                                   : Operand<Scalar>{entry(one, j, first), 1, stride};
          pack<Tile::cols>(source, height, width, Scalar(1), strip);
          std::fill(strip + height * Tile::cols, strip + depth * Tile::cols, Scalar(0));
        }
        one.factor.solve(strip);
        Scalar finished[2 * block_edge * Tile::cols];
        std::copy_n(strip, depth * Tile::cols, finished);
        one.factor.solve_transposed(finished);
        const Scalar sign = is_own ? Scalar(-1) : Scalar(1);
        for (Index i = 0; i < height; ++i)
          for (Index c = 0; c < width; ++c) {
            const Scalar value = sign * finished[i * Tile::cols + c];
            if (j < last) {
              *entry(one, first + i, j + c) = value;
            } else {
              *entry(one, j + c, first + i) = value;
            }
          }
      }
      pack_rows_from_cols(one.cols.data() + begin * depth, depth, end - begin,
                          one.rows.data() + begin * depth);
    });

    // Every other tile. First, as one piece of work for each matrix, those of the next block on the diagonal,
    // which is factored at once: it would keep one thread busy alone after the others.
    const auto update = [&](One& one, Index bi, Index bj) {
      const Index i = bi * block_edge, j = bj * block_edge;
      add_packed_product<Onto::subtract>(
          depth, one.rows.data() + i * depth, depth, one.cols.data() + j * depth, depth, entry(one, i, j),
          stride, std::min(block_edge, size - i), std::min(block_edge, size - j), bi == bj);
    };
    const Index next_begin = block_count(last), next_end = block_count(std::min(size, last + edge));
    const auto is_next = [&](Index block) { return block >= next_begin && block < next_end; };
    const Index lower = blocks * (blocks + 1) / 2;
    share_work(count * (1 + lower), flops, [&](Index t) {
      One& one = of(t % count);
      if (!is_pending(one)) return;
      if (t < count) {
        for (Index bi = next_begin; bi < next_end; ++bi)
          for (Index bj = next_begin; bj <= bi; ++bj) update(one, bi, bj);
        if (next_begin < next_end) factor(one, last);
        return;
      }
      Index bi, bj;
      detail::lower_tile(t / count - 1, bi, bj);
      const auto is_swept = [&](Index block) {
        return block * block_edge >= first && block * block_edge < last;
      };
      if (is_swept(bi) || is_swept(bj) || (is_next(bi) && is_next(bj))) return;
      update(one, bi, bj);
    });
  }
  for (One& one : memory.each)
    if (is_pending(one)) one.status = InverseStatus::done;
}

/// Weighted inverses on their way into one symmetric matrix, I + sum_m weight * square of the first
/// `count` of memory.each. Where they
/// come in several batches, the sum waits above the diagonal of `square` and in `diagonal`: below is the
/// matrix that the next ones are made of. With the last batch all of it, times `gain`, becomes `square`.
template <class Scalar>
struct InverseSum {
  MatrixRef<Scalar> square;
  Scalar* diagonal;

  void add(const InverseMemory<Scalar>& memory, std::size_t count, bool is_first, bool is_last, Scalar gain) {
    constexpr Index run = 16;  // columns of one cache line
    const Index size = square.rows(), stride = square_stride(size);
    const Scalar factor = is_last ? gain : Scalar(1);
    share_lower_tiles(block_count(size), 40.0 * static_cast<double>(square.size()), [&](Index bi, Index bj) {
      const Index end = std::min(size, (bi + 1) * block_edge),
                  last_col = std::min(size, (bj + 1) * block_edge);
      for (Index col = bj * block_edge; col < last_col; col += run) {
        const Index width = std::min(run, last_col - col);
        for (Index i = std::max(bi * block_edge, col); i < end; ++i) {
          const Index used = std::min(width, i - col + 1);
          Scalar sum[run] = {};
          for (std::size_t m = 0; m < count; ++m) {
            const auto& one = memory.each[m];
            const Scalar* entry = one.square.data() + i * stride + col;
            for (Index c = 0; c < used; ++c) sum[c] += one.weight * entry[c];
          }
          for (Index c = 0; c < used; ++c) {
            Scalar& kept = i == col + c ? diagonal[i] : square.coeffRef(col + c, i);
            const Scalar before = !is_first ? kept : Scalar(i == col + c);
            kept = factor * (before + sum[c]);
            if (is_last) square.coeffRef(i, col + c) = kept;
          }
        }
      }
    });
  }
};

}}}  // namespace symopt::kernel
