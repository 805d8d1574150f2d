// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/kernel/gradient_view.hpp>
#include <symopt/kernel/threads.hpp>

#include <algorithm>
#include <atomic>
#include <cstring>

namespace symopt { inline namespace SYMOPT_ABI { namespace kernel {

/// A register's worth of numbers as they lie in memory, in which Inf and NaN leave a mark.
template <class Number>
struct FiniteProbe {
  using Marks = typename Lanes<Number>::BitVector;
  static constexpr Index size = Lanes<Number>::size;

  SYMOPT_INLINE static Marks of(const Number* numbers) {
    return non_finite_bits(Lanes<Number>::load(numbers));
  }
  static bool any(Marks marks) { return has_top_bit<Number>(marks); }
};
/// Two of them in every lane, whose exponents overflow each into the bit above it.
template <>
struct FiniteProbe<bfloat16> {
  using Marks = FloatBits;
  static constexpr Index size = 2 * Lanes<float>::size;

  SYMOPT_INLINE static Marks of(const bfloat16* numbers) {
    FloatBits bits;
    std::memcpy(&bits, numbers, sizeof bits);
    return (bits & 0x7f807f80U) + 0x00800080U;
  }
  static bool any(Marks marks) { return has_top_bit<float>(marks | marks << 16); }
};

/// all_finite for numbers without gaps between them. Four stretches of a piece at a time: one alone leaves
/// the memory waiting.
template <class Number>
bool all_finite(const Number* numbers, Shape shape) {
  using Probe = FiniteProbe<Number>;
  constexpr Index part = 16384, piece = 4 * part;
  const Index size = shape.rows * shape.cols;
  std::atomic<bool> finite = true;
  parallel_sweep((size + piece - 1) / piece, [&](Index p) {
    const Number* x = numbers + p * piece;
    const Index count = std::min(piece, size - p * piece);
    typename Probe::Marks found{};
    if (count == piece) {
      typename Probe::Marks second{}, third{}, fourth{};
      for (Index j = 0; j < part; j += Probe::size) {
        found |= Probe::of(x + j);
        second |= Probe::of(x + part + j);
        third |= Probe::of(x + 2 * part + j);
        fourth |= Probe::of(x + 3 * part + j);
      }
      found |= second | third | fourth;
    } else {
      Index j = 0;
      for (; j + Probe::size <= count; j += Probe::size) found |= Probe::of(x + j);
      Number rest[Probe::size] = {};
      std::copy(x + j, x + count, rest);
      found |= Probe::of(rest);
    }
    if (Probe::any(found)) finite.store(false, std::memory_order_relaxed);
  });
  return finite;
}

/// True when no entry of `block` is Inf or NaN, to the bit, also under -ffast-math. One read of the block, in
/// the order of its memory, on all threads; no allocation.
template <class Scalar>
bool all_finite(const GradientView<Scalar>& block) {
  if (block.orientation() == Orientation::along_columns) return all_finite(block.transposed());
  if (const Scalar* numbers = block.values_without_gaps()) return all_finite(numbers, block.shape());
  if (const bfloat16* halves = block.halves_without_gaps()) return all_finite(halves, block.shape());
  const Shape shape = block.shape();
  const Pieces pieces = pieces_of(shape);
  std::atomic<bool> finite = true;
  parallel_sweep(pieces.count, [&](Index piece) {
    typename Lanes<Scalar>::BitVector found{};
    for (Index i = pieces.first(piece); i < pieces.end(piece); ++i)
      for_each_stretch(
          0, shape.cols,
          [&](Index col, Index count) SYMOPT_INLINE_LAMBDA {
            const typename GradientView<Scalar>::Window window(block, i, col, count);
            const Scalar* x = window.data();
            for_each_place<Scalar>(
                count, [&](auto at) SYMOPT_INLINE_LAMBDA { found |= non_finite_bits(load(x, at)); });
          },
          block);
    if (has_top_bit<Scalar>(found)) finite.store(false, std::memory_order_relaxed);
  });
  return finite;
}
template <RealScalar Scalar>
bool all_finite(const BlockView<const Scalar>& block) {
  return all_finite(GradientView<Scalar>(block));
}

}}}  // namespace symopt::kernel
