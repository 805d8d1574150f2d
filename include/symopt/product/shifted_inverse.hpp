// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/product/block_factor.hpp>

#include <algorithm>
#include <cstddef>
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
      add_packed_product<Accumulate::subtract>(
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

}}}  // namespace symopt::kernel
