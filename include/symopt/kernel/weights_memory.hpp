// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/kernel/gradient_memory.hpp>
#include <symopt/kernel/random_bits.hpp>

#include <cstdint>
#include <type_traits>

namespace symopt::inline SYMOPT_ABI::kernel {

/// Rounds lanes of a block to the upper halves of their bits.
struct Rounder {
  Rounding rounding = Rounding::nearest;
  RandomKey key;
  bool is_transposed = false;  ///< rows and columns are those of the transposed block

  SYMOPT_INLINE FloatBits operator()(Lanes<float> x, Index row, Index col) const {
    if (rounding == Rounding::nearest) return nearest_halves(x);
    const auto line = static_cast<std::uint32_t>(row);
    const FloatBits along = lane_numbers() + static_cast<std::uint32_t>(col);
    const FloatBits bits = is_transposed ? random_bits(key, along, line) : random_bits(key, line, along);
    return rounded_halves(x, bits >> 16);
  }

 private:
  SYMOPT_INLINE static FloatBits lane_numbers() {
    FloatBits numbers{};
    for (int k = 0; k < Lanes<float>::size; ++k) numbers[k] = static_cast<std::uint32_t>(k);
    return numbers;
  }
};

/// Weights that are read and written while a step computes in Scalar:
///   values                 in Scalar
///   values and a copy      in float, and rounded to bfloat16 too, which is written and never read
///   high and low           floats whose upper 16 bits (a bfloat16) and lower 16 bits lie apart
///   rounded                nothing but bfloat16: the step is computed in float and rounded
template <class Scalar>
class WeightsMemory {
 public:
  WeightsMemory(const BlockView<Scalar>& values) : values_(values) {}
  WeightsMemory(const BlockView<float>& values, const BlockView<bfloat16>& copy, Rounder rounder)
      : kind_(Kind::copied), values_(values), halves_(copy), rounder_(rounder) {}
  WeightsMemory(const BlockView<bfloat16>& high, const BlockView<std::uint16_t>& low)
      : kind_(Kind::split), halves_(high), low_(low) {}
  WeightsMemory(const BlockView<bfloat16>& rounded, Rounder rounder)
      : kind_(Kind::rounded), halves_(rounded), rounder_(rounder) {}

  Shape shape() const { return has_values() ? shape_of(values_) : shape_of(halves_); }
  WeightsMemory transposed() const {
    WeightsMemory turned = *this;
    turned.values_ = values_.transposed();
    turned.halves_ = halves_.transposed();
    turned.low_ = low_.transposed();
    turned.rounder_.is_transposed = !rounder_.is_transposed;
    return turned;
  }

  Index stretch_from(Index col) const {
    const Index run = kind_ == Kind::values ? contiguous_from(values_, col) : 0;
    return run > 0 ? run : window_size;
  }

  /// How many numbers lie between the same place of two rows; 0 where they are not in Scalar.
  Index between_rows(Index from, Index to) const {
    return has_values() ? values_.row(to) - values_.row(from) : 0;
  }

  /// A stretch of a row, as numbers; what becomes of them goes back when it closes.
  class Window {
   public:
    Window(const WeightsMemory& weights, Index row, Index col, Index count, bool is_written = true)
        : weights_(weights), row_(row), col_(col), count_(count), is_written_(is_written) {
      is_direct_ = weights.has_values() && contiguous_from(weights.values_, col) >= count;
      if (is_direct_) {
        data_ = weights.values_.row(row) + weights.values_.cols.offset(col);
      } else {
        weights.read(row, col, count, copy_);
        data_ = copy_;
      }
    }
    ~Window() {
      if (!is_written_) return;
      if (!is_direct_ && weights_.has_values()) scatter(data_, count_, weights_.values_, row_, col_);
      if (weights_.kind_ != Kind::values) weights_.write_halves(data_, row_, col_, count_);
    }
    Window(const Window&) = delete;
    Window& operator=(const Window&) = delete;

    Scalar* data() const { return data_; }

   private:
    const WeightsMemory& weights_;
    Index row_, col_, count_;
    bool is_written_;
    bool is_direct_;
    Scalar* data_;
    Scalar copy_[window_size];
  };

  Scalar at(Index row, Index col) const {
    Scalar x;
    read(row, col, 1, &x);
    return x;
  }

  /// Reads a stretch of at most window_size entries.
  void read(Index row, Index col, Index count, Scalar* to) const {
    if constexpr (std::same_as<Scalar, float>) {
      if (!has_values()) {
        bfloat16 scratch[window_size];
        std::uint16_t low_scratch[window_size];
        const bfloat16* high = contiguous_halves(halves_, row, col, count, scratch);
        const std::uint16_t* low =
            kind_ == Kind::split ? contiguous_halves(low_, row, col, count, low_scratch) : nullptr;
        for_each_place<float>(count, [&](auto at) SYMOPT_INLINE_LAMBDA {
          FloatBits bits = load_halves(high, at) << 16;
          if (low != nullptr) bits |= load_halves(low, at);
          store(to, at, Lanes<float>::of_bits(bits));
        });
        return;
      }
    }
    gather(values_, row, col, count, to);
  }

 private:
  enum class Kind { values, copied, split, rounded };

  bool has_values() const { return kind_ == Kind::values || kind_ == Kind::copied; }

  void write_halves(const Scalar* from, Index row, Index col, Index count) const {
    if constexpr (std::same_as<Scalar, float>) {
      bfloat16 scratch[window_size];
      std::uint16_t low_scratch[window_size];
      const bool is_direct = contiguous_from(halves_, col) >= count;
      bfloat16* high = is_direct ? halves_.row(row) + halves_.cols.offset(col) : scratch;
      if (kind_ != Kind::split) {
        for_each_place<float>(count, [&](auto at) SYMOPT_INLINE_LAMBDA {
          store_halves(high, at, rounder_(load(from, at), row, col + at.j));
        });
      } else {
        const bool low_is_direct = contiguous_from(low_, col) >= count;
        std::uint16_t* low = low_is_direct ? low_.row(row) + low_.cols.offset(col) : low_scratch;
        for_each_place<float>(count, [&](auto at) SYMOPT_INLINE_LAMBDA {
          const FloatBits bits = load(from, at).bits();
          store_halves(high, at, bits >> 16);
          store_halves(low, at, bits & 0xffffU);
        });
        if (!low_is_direct) scatter(low_scratch, count, low_, row, col);
      }
      if (!is_direct) scatter(scratch, count, halves_, row, col);
    }
  }

  Kind kind_ = Kind::values;
  BlockView<Scalar> values_;
  BlockView<bfloat16> halves_;
  BlockView<std::uint16_t> low_;
  Rounder rounder_;
};

}  // namespace symopt::kernel
