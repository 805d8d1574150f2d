// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/kernel/sweep.hpp>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstring>
#include <limits>

namespace symopt { inline namespace SYMOPT_ABI { namespace kernel {

/// The marks that numbers of 2^exponent and more, Inf and NaN leave among numbers that are looked at.
template <class Number>
class LargeMarks {
 public:
  explicit LargeMarks(int exponent) : overflow_(overflow_from<Number>(exponent)) {}

  SYMOPT_INLINE void add(Lanes<Number> x) { marks_ |= large_bits(x, overflow_); }
  bool any() const { return has_top_bit<Number>(marks_); }

 private:
  typename Lanes<Number>::Bits overflow_;
  typename Lanes<Number>::BitVector marks_{};
};
/// Marks of bfloat16 numbers, two in every lane, whose exponents overflow each into the bit above it.
template <>
class LargeMarks<bfloat16> {
 public:
  explicit LargeMarks(int exponent) : overflow_((overflow_from<float>(exponent) >> 16) * 0x00010001U) {}

  SYMOPT_INLINE void add(FloatBits pairs) { marks_ |= (pairs & 0x7f807f80U) + overflow_; }
  bool any() const { return has_top_bit<float>(marks_ | marks_ << 16); }

 private:
  Lanes<float>::Bits overflow_;
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

/// all_below for numbers without gaps between them. Four parts of a chunk side by side: one alone leaves the
/// memory waiting.
template <class Number>
bool all_below(int exponent, const Number* numbers, Shape shape) {
  constexpr Index parts = 4, part_size = 16384, chunk_size = parts * part_size;
  const Index size = shape.rows * shape.cols;
  std::atomic<bool> below = true;
  parallel_sweep((size + chunk_size - 1) / chunk_size, [&](Index chunk) {
    const Index first = chunk * chunk_size, count = std::min(chunk_size, size - first);
    const Shape part = count == chunk_size ? Shape{parts, part_size} : Shape{1, count};
    const BlockView<const Number> block(numbers + first, {part.rows, part.cols}, {part.cols, 1});
    LargeMarks<Number> marks(exponent);
    sweep<parts>(
        {0, part.rows}, {0, part.cols},
        [](auto x, LargeMarks<Number>& found) SYMOPT_INLINE_LAMBDA { found.add(x); },
        detail::as_stored(block), accumulate(marks));
    if (marks.any()) below.store(false, std::memory_order_relaxed);
  });
  return below;
}

/// Tests whether all entries of `block` are less than 2^exponent in size, to the bit, also under -ffast-math.
/// One read of the block, in the order of its memory, on all threads; no allocation.
template <class Scalar>
bool all_below(int exponent, const GradientView<Scalar>& block) {
  if (block.orientation() == Orientation::along_columns) return all_below(exponent, block.transposed());
  if (const Scalar* numbers = block.values_without_gaps()) return all_below(exponent, numbers, block.shape());
  if (const bfloat16* numbers = block.bf16_without_gaps()) return all_below(exponent, numbers, block.shape());
  std::atomic<bool> below = true;
  for_each_chunk(chunks_of(block.shape()), [&](Range rows) {
    LargeMarks<Scalar> marks(exponent);
    sweep(
        rows, {0, block.shape().cols},
        [](Lanes<Scalar> x, LargeMarks<Scalar>& found) SYMOPT_INLINE_LAMBDA { found.add(x); }, in(block),
        accumulate(marks));
    if (marks.any()) below.store(false, std::memory_order_relaxed);
  });
  return below;
}

/// Tests whether no entry is Inf or NaN, also under -ffast-math. One read of the block, on all threads; no
/// allocation.
///@{
template <class Scalar>
bool all_finite(const GradientView<Scalar>& block) {
  return all_below(std::numeric_limits<Scalar>::max_exponent, block);
}
template <RealScalar Scalar>
bool all_finite(const BlockView<const Scalar>& block) {
  return all_finite(GradientView<Scalar>(block));
}
///@}

/// Tests whether all entries are less than 2^usual_exponent in size.
template <class Scalar>
bool is_usual(const GradientView<Scalar>& block) {
  return all_below(usual_exponent<Scalar>, block);
}

}}}  // namespace symopt::kernel
