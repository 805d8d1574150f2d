// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/product/micro_kernel.hpp>

#include <algorithm>

// Operands of products are copied into the strips that the micro-kernel reads.
namespace symopt { inline namespace SYMOPT_ABI { namespace kernel {

/// One operand seen along the contraction: the entry of term k and lane j is data[k * term + j * lane], one
/// of the two strides being 1.
template <class Scalar>
struct Operand {
  const Scalar* data;
  Index term;
  Index lane;

  const Scalar* at(Index k, Index j) const { return data + k * term + j * lane; }
};

constexpr Index round_up(Index size, Index step) {
  return (size + step - 1) / step * step;
}

/// Copies terms [0, depth) of lanes [0, width) into strips of `strip_width` lanes, times `scale`. Lanes up to
/// the end of the last strip become zero.
template <Index strip_width, class Scalar>
void pack(const Operand<Scalar>& from, Index depth, Index width, Scalar scale, Scalar* to) {
  for (Index j = 0; j < width; j += strip_width, to += depth * strip_width) {
    const Index used = std::min(strip_width, width - j);
    if (used < strip_width) std::fill(to, to + depth * strip_width, Scalar(0));
    if (from.lane == 1) {
      for (Index k = 0; k < depth; ++k) {
        const Scalar* source = from.at(k, j);
        Scalar* target = to + k * strip_width;
        if (used == strip_width) {
          for (Index c = 0; c < strip_width; ++c) target[c] = scale * source[c];
        } else {
          for (Index c = 0; c < used; ++c) target[c] = scale * source[c];
        }
      }
    } else {
      constexpr Index run = 16;  // terms of one cache line, transposed while it is at hand
      for (Index k = 0; k < depth; k += run) {
        const Index terms = std::min(run, depth - k);
        for (Index c = 0; c < used; ++c) {
          const Scalar* source = from.at(k, j + c);
          Scalar* target = to + k * strip_width + c;
          for (Index t = 0; t < terms; ++t) target[t * strip_width] = scale * source[t];
        }
      }
    }
  }
}

/// The strips of rows that hold what the given strips of columns hold.
template <class Scalar>
void pack_rows_from_cols(const Scalar* cols, Index depth, Index width, Scalar* to) {
  using Tile = MicroTile<Scalar>;
  for (Index i = 0; i < width; i += Tile::rows, to += depth * Tile::rows) {
    const auto lane = [&](Index j) { return cols + j / Tile::cols * depth * Tile::cols + j % Tile::cols; };
    if (i / Tile::cols == (i + Tile::rows - 1) / Tile::cols) {
      const Scalar* source = lane(i);
      for (Index k = 0; k < depth; ++k)
        for (Index r = 0; r < Tile::rows; ++r) to[k * Tile::rows + r] = source[k * Tile::cols + r];
    } else {
      for (Index r = 0; r < Tile::rows; ++r) {
        const bool exists = i + r < width;
        const Scalar* source = lane(exists ? i + r : i);
        for (Index k = 0; k < depth; ++k)
          to[k * Tile::rows + r] = exists ? source[k * Tile::cols] : Scalar(0);
      }
    }
  }
}

}}}  // namespace symopt::kernel
