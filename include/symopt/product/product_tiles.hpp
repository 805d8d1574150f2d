// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/memory/buffer.hpp>
#include <symopt/product/blas.hpp>
#include <symopt/product/packing.hpp>
#include <symopt/scaling.hpp>
#include <symopt/side.hpp>
#include <symopt/threads.hpp>

#include <algorithm>
#include <cmath>
#include <utility>

// The products of the spectral methods: Gram matrices, products of commuting symmetric matrices, and a
// symmetric matrix times a block. Work is cut into blocks of fixed size, which threads share, so the bits of
// a result depend on the shape alone. Each entry is a sum of partial sums of at most `summed_at_once` terms:
// |error| <= (summed_at_once + terms / summed_at_once) * unit roundoff * sum |a b|.
namespace symopt { inline namespace SYMOPT_ABI { namespace kernel {

/// Edge of the square tiles that threads share: a multiple of every MicroTile's rows and columns.
inline constexpr Index block_edge = 96;
/// Lanes or terms that are packed at a time: bounds the memory.
inline constexpr Index slab_size = 1024;
/// Terms of one visit of the micro-kernel: a strip of columns stays in the first cache.
inline constexpr Index summed_at_once = 256;

static_assert(block_edge % MicroTile<float>::rows == 0 && block_edge % MicroTile<float>::cols == 0);
static_assert(block_edge % MicroTile<double>::rows == 0 && block_edge % MicroTile<double>::cols == 0);

/// The stride of the rows of a square in work memory, in entries: never a power of two, with which the rows
/// of a tile would share the few places that a cache has for them.
constexpr Index square_stride(Index size) {
  const Index lines = round_up(size, 16);
  return size > 128 && lines % 128 == 0 ? lines + 16 : lines;
}

constexpr Index block_count(Index size, Index edge = block_edge) {
  return (size + edge - 1) / edge;
}

/// The flops that are worth a team of threads.
inline constexpr double least_shared_flops = 2e6;

/// parallel_for, or a plain loop where `flops` are too few to be worth a team of threads. The choice depends
/// on the size alone.
template <class Work>
void share_work(Index count, double flops, Work&& work) {
  if (flops < least_shared_flops) {
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

/// Lanes of work that stage an operand, shared by the threads in groups.
template <class Scalar, class Work>
void share_lanes(Index depth, Index lanes, Work&& work) {
  share_work(block_count(lanes), 20.0 * static_cast<double>(depth) * static_cast<double>(lanes),
             [&](Index b) { work(b * block_edge, std::min(block_edge, lanes - b * block_edge)); });
}

#ifdef SYMOPT_USE_BLAS

/// Edge of the tiles of a product, large enough for a call of the BLAS.
inline constexpr Index product_edge = 2 * block_edge;

/// An operand that is ready for its tiles: a copy, scaled.
template <class Scalar>
using Staged = Operand<Scalar>;

template <class Scalar>
Staged<Scalar> stage(const Operand<Scalar>& from, Index depth, Index lanes, Scalar scale, Scalar* to) {
  const bool lanes_are_dense = from.lane == 1;
  const Staged<Scalar> copy{to, lanes_are_dense ? lanes : 1, lanes_are_dense ? 1 : depth};
  share_lanes<Scalar>(depth, lanes, [&](Index first, Index width) {
    if (lanes_are_dense) {
      for (Index k = 0; k < depth; ++k)
        for (Index j = first; j < first + width; ++j) to[k * lanes + j] = scale * from.at(k, 0)[j];
    } else {
      for (Index j = first; j < first + width; ++j)
        for (Index k = 0; k < depth; ++k) to[j * depth + k] = scale * from.at(0, j)[k];
    }
  });
  return copy;
}
template <class Scalar>
Staged<Scalar> stage_rows(const Operand<Scalar>& from, Index depth, Index lanes, Scalar scale,
                          ProductMemory<Scalar>& memory) {
  return stage<Scalar>(from, depth, lanes, scale, memory.rows.data());
}
template <class Scalar>
Staged<Scalar> stage_cols(const Operand<Scalar>& from, Index depth, Index lanes, Scalar scale,
                          ProductMemory<Scalar>& memory) {
  return stage<Scalar>(from, depth, lanes, scale, memory.cols.data());
}
template <class Scalar>
std::pair<Staged<Scalar>, Staged<Scalar>> stage_both(const Operand<Scalar>& from, Index depth, Index lanes,
                                                     Scalar scale, ProductMemory<Scalar>& memory) {
  const Staged<Scalar> staged = stage_cols<Scalar>(from, depth, lanes, scale, memory);
  return {staged, staged};
}

/// out <- (or +=) the tile of lanes from i of rows and from j of cols. To the BLAS a row-major tile is the
/// transposed one, and there is none for a triangle.
template <class Scalar>
void product_tile(const Staged<Scalar>& rows, const Staged<Scalar>& cols, Index i, Index j, Index depth,
                  bool overwrite, Scalar* out, Index stride, Shape tile, bool = false) {
  blas::gemm<Scalar>(cols.lane != 1, rows.term != 1, tile.cols, tile.rows, depth, cols.at(0, j),
                     cols.lane == 1 ? cols.term : cols.lane, rows.at(0, i),
                     rows.term == 1 ? rows.lane : rows.term, Scalar(overwrite ? 0 : 1), out, stride);
}

#else

/// Edge of the tiles of a product.
inline constexpr Index product_edge = block_edge;

/// An operand that is ready for its tiles: packed into strips.
template <class Scalar>
struct Staged {
  const Scalar* strips = nullptr;
};

template <class Scalar>
Staged<Scalar> stage_rows(const Operand<Scalar>& from, Index depth, Index lanes, Scalar scale,
                          ProductMemory<Scalar>& memory) {
  Scalar* to = memory.rows.data();
  share_lanes<Scalar>(depth, lanes, [&](Index first, Index width) {
    pack<MicroTile<Scalar>::rows>(Operand<Scalar>{from.at(0, first), from.term, from.lane}, depth, width,
                                  scale, to + first * depth);
  });
  return {to};
}
template <class Scalar>
Staged<Scalar> stage_cols(const Operand<Scalar>& from, Index depth, Index lanes, Scalar scale,
                          ProductMemory<Scalar>& memory) {
  Scalar* to = memory.cols.data();
  share_lanes<Scalar>(depth, lanes, [&](Index first, Index width) {
    pack<MicroTile<Scalar>::cols>(Operand<Scalar>{from.at(0, first), from.term, from.lane}, depth, width,
                                  scale, to + first * depth);
  });
  return {to};
}
template <class Scalar>
std::pair<Staged<Scalar>, Staged<Scalar>> stage_both(const Operand<Scalar>& from, Index depth, Index lanes,
                                                     Scalar scale, ProductMemory<Scalar>& memory) {
  Scalar* rows = memory.rows.data();
  Scalar* cols = memory.cols.data();
  share_lanes<Scalar>(depth, lanes, [&](Index first, Index width) {
    pack<MicroTile<Scalar>::cols>(Operand<Scalar>{from.at(0, first), from.term, from.lane}, depth, width,
                                  scale, cols + first * depth);
    pack_rows_from_cols(cols + first * depth, depth, width, rows + first * depth);
  });
  return {{rows}, {cols}};
}

/// out <- (or +=) the tile of lanes from i of rows and from j of cols, both multiples of the edge, or its
/// lower triangle and a little more.
template <class Scalar>
void product_tile(const Staged<Scalar>& rows, const Staged<Scalar>& cols, Index i, Index j, Index depth,
                  bool overwrite, Scalar* out, Index stride, Shape tile, bool only_lower = false) {
  for (Index k = 0; k < depth; k += summed_at_once) {
    const Index terms = std::min(summed_at_once, depth - k);
    const Scalar* row = rows.strips + i * depth + k * MicroTile<Scalar>::rows;
    const Scalar* col = cols.strips + j * depth + k * MicroTile<Scalar>::cols;
    if (overwrite && k == 0) {
      add_packed_product<Accumulate::overwrite>(terms, row, depth, col, depth, out, stride, tile.rows,
                                                tile.cols, only_lower);
    } else {
      add_packed_product<Accumulate::add>(terms, row, depth, col, depth, out, stride, tile.rows, tile.cols,
                                          only_lower);
    }
  }
}

#endif

/// out <- (or +=) rows^T cols on and under the diagonal; entries above it may be written too.
template <class Scalar>
void lower_product(const Staged<Scalar>& rows, const Staged<Scalar>& cols, Index depth, bool overwrite,
                   MatrixRef<Scalar> out) {
  const Index lanes = out.rows();
  const double flops = static_cast<double>(lanes) * static_cast<double>(lanes) * static_cast<double>(depth);
  share_lower_tiles(block_count(lanes, product_edge), flops, [&](Index bi, Index bj) {
    const Index i = bi * product_edge, j = bj * product_edge;
    product_tile<Scalar>(rows, cols, i, j, depth, overwrite, &out.coeffRef(i, j), out.outerStride(),
                         {std::min(product_edge, lanes - i), std::min(product_edge, lanes - j)}, bi == bj);
  });
}

/// out <- rows^T cols.
template <class Scalar>
void full_product(const Staged<Scalar>& rows, const Staged<Scalar>& cols, Index depth, Scalar* out,
                  Index stride, Shape shape) {
  const Index tall = block_count(shape.rows, product_edge), wide = block_count(shape.cols, product_edge);
  const double flops =
      2.0 * static_cast<double>(shape.rows) * static_cast<double>(shape.cols) * static_cast<double>(depth);
  share_work(tall * wide, flops, [&](Index t) {
    const Index i = t % tall * product_edge, j = t / tall * product_edge;
    product_tile<Scalar>(rows, cols, i, j, depth, true, out + i * stride + j, stride,
                         {std::min(product_edge, shape.rows - i), std::min(product_edge, shape.cols - j)});
  });
}

}}}  // namespace symopt::kernel
