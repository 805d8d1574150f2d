// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/kernel/sweep.hpp>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstring>

namespace symopt { inline namespace SYMOPT_ABI { namespace kernel {

/// The marks that Inf and NaN leave among numbers that are looked at.
template <class Number>
class NonFiniteMarks {
 public:
  SYMOPT_INLINE void add(Lanes<Number> x) { marks_ |= non_finite_bits(x); }
  bool any() const { return has_top_bit<Number>(marks_); }

 private:
  typename Lanes<Number>::BitVector marks_{};
};
/// Of two numbers in every lane, whose exponents overflow each into the bit above it.
template <>
class NonFiniteMarks<bfloat16> {
 public:
  SYMOPT_INLINE void add(FloatBits pairs) { marks_ |= (pairs & 0x7f807f80U) + 0x00800080U; }
  bool any() const { return has_top_bit<float>(marks_ | marks_ << 16); }

 private:
  FloatBits marks_{};
};

namespace detail {

/// An operand: numbers in bfloat16 as they lie in memory, two in a lane.
struct Bf16Pairs : Windowless {
  using Scalar = bfloat16;
  static constexpr int vector_size = 2 * Lanes<float>::size;

  const BlockView<const bfloat16>& block;

  template <int rows>
  struct Cursor : CursorBase {
    const bfloat16* data[std::size_t{rows}];
    FloatBits pairs;

    SYMOPT_INLINE void load(int row, FullVector at) { std::memcpy(&pairs, data[row] + at.j, sizeof pairs); }
    SYMOPT_INLINE void load(int row, Tail at) {
      pairs = FloatBits{};
      std::memcpy(&pairs, data[row] + at.j, static_cast<std::size_t>(at.count) * sizeof(bfloat16));
    }
    SYMOPT_INLINE const FloatBits& value(int) const { return pairs; }
  };
  template <class, int rows>
  SYMOPT_INLINE Cursor<rows> cursor(const Run& run, NoWindows) const {
    Cursor<rows> cursor;
    for (int row = 0; row < rows; ++row) cursor.data[row] = block.row(run.row + row) + run.col;
    return cursor;
  }
};

template <class Scalar>
SYMOPT_INLINE auto as_stored(const BlockView<const Scalar>& block) {
  return in(block);
}
SYMOPT_INLINE Bf16Pairs as_stored(const BlockView<const bfloat16>& block) {
  return {{}, block};
}

}  // namespace detail

/// all_finite for numbers without gaps between them. Four parts of a chunk side by side: one alone leaves the
/// memory waiting.
template <class Number>
bool all_finite(const Number* numbers, Shape shape) {
  constexpr Index parts = 4, part_size = 16384, chunk_size = parts * part_size;
  const Index size = shape.rows * shape.cols;
  std::atomic<bool> finite = true;
  parallel_sweep((size + chunk_size - 1) / chunk_size, [&](Index chunk) {
    const Index first = chunk * chunk_size, count = std::min(chunk_size, size - first);
    const Shape part = count == chunk_size ? Shape{parts, part_size} : Shape{1, count};
    const BlockView<const Number> block(numbers + first, {part.rows, part.cols}, {part.cols, 1});
    NonFiniteMarks<Number> marks;
    sweep<parts>(
        {0, part.rows}, {0, part.cols},
        [](auto x, NonFiniteMarks<Number>& found) SYMOPT_INLINE_LAMBDA { found.add(x); },
        detail::as_stored(block), accumulate(marks));
    if (marks.any()) finite.store(false, std::memory_order_relaxed);
  });
  return finite;
}

/// Whether no entry of `block` is Inf or NaN, to the bit, also under -ffast-math. One read of the block, in
/// the order of its memory, on all threads; no allocation.
template <class Scalar>
bool all_finite(const GradientView<Scalar>& block) {
  if (block.orientation() == Orientation::along_columns) return all_finite(block.transposed());
  if (const Scalar* numbers = block.values_without_gaps()) return all_finite(numbers, block.shape());
  if (const bfloat16* numbers = block.bf16_without_gaps()) return all_finite(numbers, block.shape());
  std::atomic<bool> finite = true;
  for_each_chunk(chunks_of(block.shape()), [&](Range rows) {
    NonFiniteMarks<Scalar> marks;
    sweep(
        rows, {0, block.shape().cols},
        [](Lanes<Scalar> x, NonFiniteMarks<Scalar>& found) SYMOPT_INLINE_LAMBDA { found.add(x); }, in(block),
        accumulate(marks));
    if (marks.any()) finite.store(false, std::memory_order_relaxed);
  });
  return finite;
}
template <RealScalar Scalar>
bool all_finite(const BlockView<const Scalar>& block) {
  return all_finite(GradientView<Scalar>(block));
}

}}}  // namespace symopt::kernel
