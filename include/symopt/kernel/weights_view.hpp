// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/kernel/gradient_view.hpp>
#include <symopt/kernel/random_bits.hpp>

#include <cstdint>
#include <type_traits>

namespace symopt { inline namespace SYMOPT_ABI { namespace kernel {

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
class WeightsView {
 public:
  WeightsView(const BlockView<Scalar>& values) : values_(values) {}
  WeightsView(const BlockView<float>& values, const BlockView<bfloat16>& copy, Rounder rounder)
      : kind_(Kind::copied), values_(values), halves_(copy), rounder_(rounder) {}
  WeightsView(const BlockView<bfloat16>& high, const BlockView<std::uint16_t>& low)
      : kind_(Kind::split), halves_(high), low_(low) {}
  WeightsView(const BlockView<bfloat16>& rounded, Rounder rounder)
      : kind_(Kind::rounded), halves_(rounded), rounder_(rounder) {}

  Shape shape() const { return has_values() ? shape_of(values_) : shape_of(halves_); }
  WeightsView transposed() const {
    WeightsView turned = *this;
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

  /// The numbers as they are, where they are in Scalar; null otherwise.
  const BlockView<Scalar>* values() const { return has_values() ? &values_ : nullptr; }

  /// From a row to the next in memory, in entries.
  Index row_stride() const { return has_values() ? values_.rows.stride : halves_.rows.stride; }
  /// From a stretch of a row to that of another one, in entries; 0 where windows onto them are copies.
  Index between_rows(Index from, Index to, Index col, Index count) const {
    return is_direct(col, count) ? values_.row(to) - values_.row(from) : 0;
  }

  /// A stretch of a row, as numbers; what becomes of them goes back when it closes.
  class Window {
   public:
    Window(const WeightsView& weights, Index row, Index col, Index count, bool is_written = true)
        : weights_(weights), row_(row), col_(col), count_(count), is_written_(is_written) {
      is_direct_ = weights.is_direct(col, count);
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
    const WeightsView& weights_;
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
        read_halves(halves_, row, col, count, [&](const bfloat16* high) {
          if (kind_ == Kind::split) {
            read_halves(low_, row, col, count, [&](const std::uint16_t* low) {
              for_each_place<float>(count, [&](auto at) SYMOPT_INLINE_LAMBDA {
                store(to, at, Lanes<float>::of_bits(load_halves(high, at) << 16 | load_halves(low, at)));
              });
            });
          } else {
            for_each_place<float>(count,
                                  [&](auto at) SYMOPT_INLINE_LAMBDA { store(to, at, load(high, at)); });
          }
        });
        return;
      }
    }
    gather(values_, row, col, count, to);
  }

 private:
  enum class Kind { values, copied, split, rounded };

  bool is_direct(Index col, Index count) const {
    return has_values() && contiguous_from(values_, col) >= count;
  }
  bool has_values() const { return kind_ == Kind::values || kind_ == Kind::copied; }

  void write_halves(const Scalar* from, Index row, Index col, Index count) const {
    if constexpr (std::same_as<Scalar, float>) {
      kernel::write_halves(halves_, row, col, count, [&](bfloat16* high) {
        if (kind_ == Kind::split) {
          kernel::write_halves(low_, row, col, count, [&](std::uint16_t* low) {
            for_each_place<float>(count, [&](auto at) SYMOPT_INLINE_LAMBDA {
              const FloatBits bits = load(from, at).bits();
              store_halves(high, at, bits >> 16);
              store_halves(low, at, bits & 0xffffU);
            });
          });
        } else {
          const Rounder rounder = rounder_;  // a copy: what is written cannot be it
          for_each_place<float>(count, [&](auto at) SYMOPT_INLINE_LAMBDA {
            store_halves(high, at, rounder(load(from, at), row, col + at.j));
          });
        }
      });
    }
  }

  Kind kind_ = Kind::values;
  BlockView<Scalar> values_;
  BlockView<bfloat16> halves_;
  BlockView<std::uint16_t> low_;
  Rounder rounder_;
};

}}}  // namespace symopt::kernel
