// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/matrix.hpp>

#include <cstddef>

// The innermost loop of every product: a few rows times a few vectors of columns, held in registers.
//
// Both operands are packed into strips that run along the contraction: strip[k * width + lane]. Rows are
// strips of `rows` lanes, of which each is broadcast; columns are strips of `cols` lanes, which are loaded as
// vectors. Lanes past the end of a matrix are zero. Vectors are those of the compiler (GCC and Clang), as
// wide as the instruction set that the translation unit is compiled for; the sizes fill its registers.
namespace symopt { inline namespace SYMOPT_ABI { namespace kernel {

#if defined(__AVX512F__)
inline constexpr Index vector_bytes = 64;
inline constexpr Index micro_rows = 8;
#elif defined(__AVX__)
inline constexpr Index vector_bytes = 32;
inline constexpr Index micro_rows = 6;
#else
inline constexpr Index vector_bytes = 16;
inline constexpr Index micro_rows = 6;
#endif

/// The tile of the result that one call of the micro-kernel holds: rows x cols.
template <class Scalar>
struct MicroTile {
  static constexpr Index lanes = vector_bytes / Index(sizeof(Scalar));
  static constexpr Index vectors = 2;
  static constexpr Index rows = micro_rows;
  static constexpr Index cols = vectors * lanes;

  using Vector [[gnu::vector_size(vector_bytes)]] = Scalar;
  using Unaligned [[gnu::vector_size(vector_bytes), gnu::aligned(alignof(Scalar)), gnu::may_alias]] = Scalar;

  Vector sum[rows][vectors];

  static Vector load(const Scalar* from) { return *reinterpret_cast<const Unaligned*>(from); }
  static void store(Scalar* to, Vector value) { *reinterpret_cast<Unaligned*>(to) = value; }

  void clear() {
    for (auto& row : sum)
      for (auto& vector : row) vector = Vector{};
  }

  /// sum <- sum + rows^T cols over `depth` terms.
  [[gnu::always_inline]] void add_product(Index depth, const Scalar* row_strip, const Scalar* col_strip) {
    for (Index k = 0; k < depth; ++k, row_strip += rows, col_strip += cols) {
      Vector b[vectors];
#pragma GCC unroll 4
      for (Index v = 0; v < vectors; ++v) b[v] = load(col_strip + v * lanes);
#pragma GCC unroll 16
      for (Index i = 0; i < rows; ++i)
#pragma GCC unroll 4
        for (Index v = 0; v < vectors; ++v) sum[i][v] += row_strip[i] * b[v];
    }
  }

  /// sum <- out - sum, for a full tile inside of a strip of columns.
  [[gnu::always_inline]] void subtract_from(const Scalar* strip) {
#pragma GCC unroll 16
    for (Index i = 0; i < rows; ++i)
#pragma GCC unroll 4
      for (Index v = 0; v < vectors; ++v) sum[i][v] = load(strip + i * cols + v * lanes) - sum[i][v];
  }
  [[gnu::always_inline]] void store_to(Scalar* strip) const {
#pragma GCC unroll 16
    for (Index i = 0; i < rows; ++i)
#pragma GCC unroll 4
      for (Index v = 0; v < vectors; ++v) store(strip + i * cols + v * lanes, sum[i][v]);
  }
};

/// The treatment of the entries that a product is written to: overwritten, added to, subtracted from.
enum class Accumulate { overwrite, add, subtract };

/// The block out[height x width] with rows `stride` apart <- the product of packed strips, or plus, or minus
/// it. `row_strips` and `col_strips` point at the first term of the first strip; the strips have `row_depth`
/// and `col_depth` terms in memory, of which `depth` are summed. Of a block on the diagonal of a symmetric
/// result, what is computed above the diagonal is no more than its micro-tiles need.
template <Accumulate mode, class Scalar>
void add_packed_product(Index depth, const Scalar* row_strips, Index row_depth, const Scalar* col_strips,
                        Index col_depth, Scalar* out, Index stride, Index height, Index width,
                        bool only_lower = false) {
  using Tile = MicroTile<Scalar>;
  for (Index j = 0; j < width; j += Tile::cols) {
    const Scalar* col_strip = col_strips + j * col_depth;
    for (Index i = only_lower ? j / Tile::rows * Tile::rows : 0; i < height; i += Tile::rows) {
      Tile tile;
      tile.clear();
      tile.add_product(depth, row_strips + i * row_depth, col_strip);
      Scalar* corner = out + i * stride + j;
      const auto combined = [](auto& entry, const auto& sum) {
        if constexpr (mode == Accumulate::overwrite) entry = sum;
        if constexpr (mode == Accumulate::add) entry += sum;
        if constexpr (mode == Accumulate::subtract) entry -= sum;
      };
      if (i + Tile::rows <= height && j + Tile::cols <= width) {
#pragma GCC unroll 16
        for (Index r = 0; r < Tile::rows; ++r)
#pragma GCC unroll 4
          for (Index v = 0; v < Tile::vectors; ++v) {
            Scalar* to = corner + r * stride + v * Tile::lanes;
            typename Tile::Vector entry{};
            if constexpr (mode != Accumulate::overwrite) entry = Tile::load(to);
            combined(entry, tile.sum[r][v]);
            Tile::store(to, entry);
          }
      } else {
        Scalar entries[Tile::rows * Tile::cols];
        tile.store_to(entries);
        for (Index r = 0; r < Tile::rows && i + r < height; ++r)
          for (Index c = 0; c < Tile::cols && j + c < width; ++c)
            combined(corner[r * stride + c], entries[r * Tile::cols + c]);
      }
    }
  }
}

}}}  // namespace symopt::kernel
