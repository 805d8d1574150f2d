// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/kernel/gradient_memory.hpp>
#include <symopt/kernel/threads.hpp>

#include <atomic>
#include <cstdlib>

namespace symopt::inline SYMOPT_ABI::kernel {

/// True when no entry of `block` is Inf or NaN, to the bit, also under -ffast-math. One read of the block, in
/// the order of its memory, on all threads; no allocation.
template <class Scalar>
bool all_finite(const GradientMemory<Scalar>& block) {
  if (block.runs_along_columns()) return all_finite(block.transposed());
  const Shape shape = block.shape();
  const Pieces pieces = pieces_of(shape);
  std::atomic<bool> finite = true;
  parallel_for(pieces.count, [&](Index piece) {
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
