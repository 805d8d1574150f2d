// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/kernel/buffer.hpp>
#include <symopt/kernel/packing.hpp>
#include <symopt/kernel/scaling.hpp>
#include <symopt/kernel/threads.hpp>
#include <symopt/side.hpp>

#include <algorithm>
#include <cmath>

// The products of the spectral methods: Gram matrices, products of commuting symmetric matrices, and a
// symmetric matrix times a block. Work is cut into blocks of fixed size, which threads share, so the bits of
// a result depend on the shape alone. Each entry is a sum of partial sums of at most `summed_at_once` terms:
// |error| <= (summed_at_once + terms / summed_at_once) * unit roundoff * sum |a b|.
namespace symopt::inline SYMOPT_ABI::kernel {

/// Edge of the square tiles that threads share: a multiple of every MicroTile's rows and columns.
inline constexpr Index block_edge = 96;
/// Lanes or terms that are packed at a time: bounds the memory.
inline constexpr Index slab_size = 1024;
/// Terms of one visit of the micro-kernel: a strip of columns stays in the first cache.
inline constexpr Index summed_at_once = 256;

static_assert(block_edge % MicroTile<float>::rows == 0 && block_edge % MicroTile<float>::cols == 0);
static_assert(block_edge % MicroTile<double>::rows == 0 && block_edge % MicroTile<double>::cols == 0);

/// How far apart the rows of a square in work memory lie: never by a power of two, where the rows of a tile
/// would share the few places that a cache has for them.
constexpr Index square_stride(Index size) {
  const Index lines = round_up(size, 16);
  return size > 128 && lines % 128 == 0 ? lines + 16 : lines;
}

constexpr Index block_count(Index size) {
  return (size + block_edge - 1) / block_edge;
}

/// parallel_for, or a plain loop where `flops` are too few to be worth a team of threads. The choice depends
/// on the size alone.
template <class Work>
void share_work(Index count, double flops, Work&& work) {
  if (flops < 2e6) {
    for (Index i = 0; i < count; ++i) work(i);
  } else {
    parallel_for(count, work);
  }
}

namespace detail {

/// The t-th tile of a lower triangle of tiles, row by row.
inline void lower_tile(Index t, Index& i, Index& j) {
  i = static_cast<Index>((std::sqrt(8.0 * static_cast<double>(t) + 1) - 1) / 2);
  while (i * (i + 1) / 2 > t) --i;
  while ((i + 1) * (i + 2) / 2 <= t) ++i;
  j = t - i * (i + 1) / 2;
}

}  // namespace detail

/// Calls work(i, j) for the tiles i >= j of a square of `blocks` x `blocks` tiles.
template <class Work>
void share_lower_tiles(Index blocks, double flops, Work&& work) {
  share_work(blocks * (blocks + 1) / 2, flops, [&](Index t) {
    Index i, j;
    detail::lower_tile(t, i, j);
    work(i, j);
  });
}

/// The largest absolute entry; NaN when any entry is NaN, zero for an empty block. One read, shared by
/// threads.
template <class Scalar>
Scalar largest_entry(const MatrixRef<Scalar>& block) {
  constexpr Index most_parts = 64;
  Scalar found[most_parts];
  const Index parts = std::clamp<Index>(block.rows(), 1, most_parts);
  share_work(parts, 4.0 * static_cast<double>(block.size()), [&](Index part) {
    const Index begin = block.rows() * part / parts, end = block.rows() * (part + 1) / parts;
    found[part] = max_abs(block.middleRows(begin, end - begin));
  });
  return Eigen::Map<const Eigen::Array<Scalar, Eigen::Dynamic, 1>>(found, parts)
      .template maxCoeff<Eigen::PropagateNaN>();
}

/// The memory that products work in, for a k x k Gram matrix and blocks with k lanes of n terms.
template <class Scalar>
struct ProductMemory {
  using Tile = MicroTile<Scalar>;

  ProductMemory(Index k, Index n) : rows(size(k, n, Tile::rows)), cols(size(k, n, Tile::cols)) {}

  Buffer<Scalar> rows;
  Buffer<Scalar> cols;

 private:
  static Index size(Index k, Index n, Index strip) {
    const Index slab = std::min(slab_size, n);
    return std::max({round_up(k, strip) * slab, round_up(slab, strip) * k, round_up(k, strip) * k});
  }
};

/// A block seen from its Gram side: `lanes` of the Gram matrix, `terms` that are summed.
template <class Scalar>
Operand<Scalar> gram_operand(const MatrixRef<Scalar>& block, Side side) {
  return side == Side::left ? Operand<Scalar>{block.data(), 1, block.outerStride()}
                            : Operand<Scalar>{block.data(), block.outerStride(), 1};
}

/// Copies the lower triangle onto the upper one: exactly symmetric, whatever the product's rounding.
template <class Scalar>
void symmetrize_from_lower(MatrixRef<Scalar> square) {
  const Index blocks = block_count(square.rows());
  share_lower_tiles(blocks, 8.0 * static_cast<double>(square.size()), [&](Index bi, Index bj) {
    const Index rows = std::min(block_edge, square.rows() - bi * block_edge);
    const Index cols = std::min(block_edge, square.rows() - bj * block_edge);
    for (Index i = 0; i < rows; ++i) {
      const Index row = bi * block_edge + i;
      const Index end = bi == bj ? i : cols;
      for (Index j = 0; j < end; ++j)
        square.coeffRef(bj * block_edge + j, row) = square.coeff(row, bj * block_edge + j);
    }
  });
}

namespace detail {

/// The tile of packed operands: out <- or out += rows^T cols over `depth` terms, summed in runs.
template <class Scalar>
void tile_product(const Scalar* rows, const Scalar* cols, Index depth, bool overwrite, Scalar* out,
                  Index stride, Index height, Index width) {
  for (Index k = 0; k < depth; k += summed_at_once) {
    const Index terms = std::min(summed_at_once, depth - k);
    const Scalar* row = rows + k * MicroTile<Scalar>::rows;
    const Scalar* col = cols + k * MicroTile<Scalar>::cols;
    if (overwrite && k == 0) {
      add_packed_product<Onto::overwrite>(terms, row, depth, col, depth, out, stride, height, width);
    } else {
      add_packed_product<Onto::add>(terms, row, depth, col, depth, out, stride, height, width);
    }
  }
}

/// Packs lanes in groups of a tile, shared by the threads.
template <Index strip_width, class Scalar>
void pack_shared(const Operand<Scalar>& from, Index depth, Index lanes, Scalar scale, Scalar* to) {
  share_work(block_count(lanes), 20.0 * static_cast<double>(depth) * static_cast<double>(lanes),
             [&](Index b) {
               const Index first = b * block_edge;
               pack<strip_width>(Operand<Scalar>{from.at(0, first), from.term, from.lane}, depth,
                                 std::min(block_edge, lanes - first), scale, to + first * depth);
             });
}
}  // namespace detail

/// out <- the Gram matrix of scale * block: block block^T on the left, block^T block on the right. Half the
/// flops of a general product: k^2 n for a k x k Gram with n terms per entry.
template <class Scalar>
void gram(const MatrixRef<Scalar>& block, Side side, MatrixRef<Scalar> out, ProductMemory<Scalar>& memory,
          Scalar scale = Scalar(1)) {
  using Tile = MicroTile<Scalar>;
  const Operand<Scalar> operand = gram_operand<Scalar>(block, side);
  const Index lanes = out.rows();
  const Index terms = side == Side::left ? block.cols() : block.rows();
  if (terms == 0) out.setZero();
  Scalar* rows = memory.rows.data();
  Scalar* cols = memory.cols.data();
  for (Index k = 0; k < terms; k += slab_size) {
    const Index depth = std::min(slab_size, terms - k);
    const double entries = static_cast<double>(lanes) * static_cast<double>(depth);
    share_work(block_count(lanes), 20.0 * entries, [&](Index b) {
      const Index first = b * block_edge, width = std::min(block_edge, lanes - first);
      pack<Tile::cols>(Operand<Scalar>{operand.at(k, first), operand.term, operand.lane}, depth, width, scale,
                       cols + first * depth);
      pack_rows_from_cols(cols + first * depth, depth, width, rows + first * depth);
    });
    share_lower_tiles(block_count(lanes), entries * static_cast<double>(lanes), [&](Index bi, Index bj) {
      const Index i = bi * block_edge, j = bj * block_edge;
      detail::tile_product(rows + i * depth, cols + j * depth, depth, k == 0, &out.coeffRef(i, j),
                           out.outerStride(), std::min(block_edge, lanes - i),
                           std::min(block_edge, lanes - j));
    });
  }
  symmetrize_from_lower<Scalar>(out);
}

/// out <- a b for symmetric matrices that commute, so that the product is symmetric: half the flops of a
/// general product, k^3. `out` is neither of them.
template <class Scalar>
void symmetric_product(const MatrixRef<Scalar>& a, const MatrixRef<Scalar>& b, MatrixRef<Scalar> out,
                       ProductMemory<Scalar>& memory) {
  using Tile = MicroTile<Scalar>;
  const Index size = out.rows();
  detail::pack_shared<Tile::rows>(Operand<Scalar>{a.data(), a.outerStride(), 1}, size, size, Scalar(1),
                                  memory.rows.data());
  detail::pack_shared<Tile::cols>(Operand<Scalar>{b.data(), b.outerStride(), 1}, size, size, Scalar(1),
                                  memory.cols.data());
  const double edge = static_cast<double>(size);
  share_lower_tiles(block_count(size), edge * edge * edge, [&](Index bi, Index bj) {
    const Index i = bi * block_edge, j = bj * block_edge;
    detail::tile_product(memory.rows.data() + i * size, memory.cols.data() + j * size, size, true,
                         &out.coeffRef(i, j), out.outerStride(), std::min(block_edge, size - i),
                         std::min(block_edge, size - j));
  });
  symmetrize_from_lower<Scalar>(out);
}

/// block <- square (scale block) on the left or (scale block) square on the right. In place, a slab of
/// columns or rows at a time: 2 k^2 n flops.
template <class Scalar>
void multiply_square(const MatrixRef<Scalar>& square, MatrixRef<Scalar> block, Side side,
                     ProductMemory<Scalar>& memory, Scalar scale = Scalar(1)) {
  using Tile = MicroTile<Scalar>;
  const Index size = square.rows();
  const bool is_left = side == Side::left;
  const Index lanes = is_left ? block.cols() : block.rows();
  const Index stride = square.outerStride();
  Scalar* rows = memory.rows.data();
  Scalar* cols = memory.cols.data();
  if (is_left) {
    detail::pack_shared<Tile::rows>(Operand<Scalar>{square.data(), 1, stride}, size, size, Scalar(1), rows);
  } else {
    detail::pack_shared<Tile::cols>(Operand<Scalar>{square.data(), stride, 1}, size, size, Scalar(1), cols);
  }
  for (Index first = 0; first < lanes; first += slab_size) {
    const Index width = std::min(slab_size, lanes - first);
    const double flops =
        2.0 * static_cast<double>(width) * static_cast<double>(size) * static_cast<double>(size);
    if (is_left) {
      detail::pack_shared<Tile::cols>(Operand<Scalar>{&block.coeffRef(0, first), block.outerStride(), 1},
                                      size, width, scale, cols);
    } else {
      detail::pack_shared<Tile::rows>(Operand<Scalar>{&block.coeffRef(first, 0), 1, block.outerStride()},
                                      size, width, scale, rows);
    }
    const Index tall = block_count(is_left ? size : width), wide = block_count(is_left ? width : size);
    share_work(tall * wide, flops, [&](Index t) {
      const Index i = t % tall * block_edge, j = t / tall * block_edge;
      Scalar* out = is_left ? &block.coeffRef(i, first + j) : &block.coeffRef(first + i, j);
      detail::tile_product(rows + i * size, cols + j * size, size, true, out, block.outerStride(),
                           std::min(block_edge, (is_left ? size : width) - i),
                           std::min(block_edge, (is_left ? width : size) - j));
    });
  }
}

}  // namespace symopt::inline SYMOPT_ABI::kernel
