// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/kernel/gradient_memory.hpp>
#include <symopt/kernel/threads.hpp>

#include <atomic>
#include <cstdlib>

namespace symopt::inline SYMOPT_ABI::kernel {

/// The same for numbers without gaps between them. Four stretches of a piece at a time: one alone leaves the
/// memory waiting.
template <class Scalar>
bool all_finite(const Scalar* numbers, Shape shape) {
  constexpr Index part = 16384, piece = 4 * part;
  const Index size = shape.rows * shape.cols;
  std::atomic<bool> finite = true;
  parallel_sweep((size + piece - 1) / piece, [&](Index p) {
    const Scalar* x = numbers + p * piece;
    typename Lanes<Scalar>::BitVector found{};
    if (size - p * piece >= piece) {
      typename Lanes<Scalar>::BitVector second{}, third{}, fourth{};
      for (Index j = 0; j < part; j += Lanes<Scalar>::size) {
        found |= non_finite_bits(Lanes<Scalar>::load(x + j));
        second |= non_finite_bits(Lanes<Scalar>::load(x + part + j));
        third |= non_finite_bits(Lanes<Scalar>::load(x + 2 * part + j));
        fourth |= non_finite_bits(Lanes<Scalar>::load(x + 3 * part + j));
      }
      found |= second | third | fourth;
    } else {
      for_each_place<Scalar>(size - p * piece, [&](auto at) { found |= non_finite_bits(load(x, at)); });
    }
    if (has_top_bit<Scalar>(found)) finite.store(false, std::memory_order_relaxed);
  });
  return finite;
}

/// True when no entry of `block` is Inf or NaN, to the bit, also under -ffast-math. One read of the block, in
/// the order of its memory, on all threads; no allocation.
template <class Scalar>
bool all_finite(const GradientMemory<Scalar>& block) {
  if (block.runs_along_columns()) return all_finite(block.transposed());
  if (const Scalar* numbers = block.without_gaps()) return all_finite(numbers, block.shape());
  const Shape shape = block.shape();
  const Pieces pieces = pieces_of(shape);
  std::atomic<bool> finite = true;
  parallel_sweep(pieces.count, [&](Index piece) {
    typename Lanes<Scalar>::BitVector found{};
    for (Index i = pieces.first(piece); i < pieces.end(piece); ++i)
      for_each_stretch(
          0, shape.cols,
          [&](Index col, Index count) {
            const typename GradientMemory<Scalar>::Window window(block, i, col, count);
            const Scalar* x = window.data();
            for_each_place<Scalar>(count, [&](auto at) { found |= non_finite_bits(load(x, at)); });
          },
          block);
    if (has_top_bit<Scalar>(found)) finite.store(false, std::memory_order_relaxed);
  });
  return finite;
}
template <RealScalar Scalar>
bool all_finite(const BlockView<const Scalar>& block) {
  return all_finite(GradientMemory<Scalar>(block));
}

}  // namespace symopt::kernel
