// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/memory/gradient_view.hpp>
#include <symopt/simd/random_bits.hpp>

#include <cstdint>
#include <type_traits>

namespace symopt { inline namespace SYMOPT_ABI { namespace kernel {

/// Rounds lanes of a block to bfloat16; finite ones to finite ones, the largest of them where they are beyond
/// it.
struct Rounder {
  Rounding rounding = Rounding::nearest;
  RandomKey key;
  bool is_transposed = false;  ///< rows and columns are those of the transposed block

  /// The bits, from row `row` and column `col` on.
  SYMOPT_INLINE FloatBits operator()(Lanes<float> x, Index row, Index col) const {
    x = saturated(x);
    if (rounding == Rounding::nearest) return nearest_bf16(x);
    const auto line = static_cast<std::uint32_t>(row);
    const FloatBits along = lane_numbers() + static_cast<std::uint32_t>(col);
    const FloatBits bits = is_transposed ? random_bits(key, along, line) : random_bits(key, line, along);
    return rounded_bf16(x, bits >> 16);
  }

 private:
  SYMOPT_INLINE static Lanes<float> saturated(Lanes<float> x) {
    const FloatBits magnitude = absolute(x).bits();
    const FloatBits is_beyond = FloatBits((magnitude & 0x7fff0000U) == 0x7f7f0000U);
    return Lanes<float>::of_bits(x.bits() & ~(is_beyond & 0xffffU));
  }
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
  using value_type = Scalar;
  static constexpr bool limits_runs = true;

  WeightsView(const BlockView<Scalar>& values) : values_(values) {}
  WeightsView(const BlockView<float>& values, const BlockView<bfloat16>& copy, Rounder rounder)
      : kind_(Kind::copied), values_(values), bf16_(copy), rounder_(rounder) {}
  WeightsView(const BlockView<bfloat16>& high, const BlockView<std::uint16_t>& low)
      : kind_(Kind::split), bf16_(high), low_bits_(low) {}
  WeightsView(const BlockView<bfloat16>& rounded, Rounder rounder)
      : kind_(Kind::rounded), bf16_(rounded), rounder_(rounder) {}

  Shape shape() const {
    return has_values() ? symopt::detail::shape_of(values_) : symopt::detail::shape_of(bf16_);
  }
  WeightsView transposed() const {
    WeightsView turned = *this;
    turned.values_ = values_.transposed();
    turned.bf16_ = bf16_.transposed();
    turned.low_bits_ = low_bits_.transposed();
    turned.rounder_.is_transposed = !rounder_.is_transposed;
    return turned;
  }

  /// The most entries of a row that one window can show from column `col` on.
  Index run_from(Index col) const {
    const Index run = kind_ == Kind::values ? contiguous_from(values_, col) : 0;
    return run > 0 ? run : window_size;
  }

  /// The numbers as they are, where they are in Scalar; null otherwise.
  const BlockView<Scalar>* values() const { return has_values() ? &values_ : nullptr; }

  /// The numbers as one row of all of them, where they are in Scalar alone and lie without gaps; else null.
  Scalar* values_without_gaps() const {
    const bool is_plain = kind_ == Kind::values && values_.selected_rows == nullptr &&
                          values_.rows.parts == 1 && values_.has_contiguous_rows() &&
                          values_.rows.stride == values_.cols.size;
    return is_plain ? values_.data : nullptr;
  }

  /// The stride from a row to the next in memory, in entries.
  Index row_stride() const { return has_values() ? values_.rows.stride : bf16_.rows.stride; }
  /// The distance from a run in one row to that in another, in entries; 0 where windows onto them are copies.
  Index between_rows(Index from, Index to, Index col, Index count) const {
    if (!is_direct(col, count)) return 0;
    return static_cast<Index>(start_of_row(values_, to) - start_of_row(values_, from));
  }

  /// Some entries of a row, next to each other; where they are written, what becomes of them goes back when
  /// the window closes.
  template <bool is_written>
  class Window {
   public:
    Window(const WeightsView& weights, Index row, Index col, Index count)
        : weights_(weights), row_(row), col_(col), count_(count) {
      is_direct_ = weights.is_direct(col, count);
      if (is_direct_) {
        data_ = weights.values_.row(row) + weights.values_.cols.offset(col);
      } else {
        weights.read(row, col, count, copy_);
        data_ = copy_;
      }
    }
    ~Window() {
      if constexpr (!is_written) return;
      if (is_direct_ && weights_.kind_ == Kind::values) return;
      if (!is_direct_ && weights_.has_values()) scatter(data_, count_, weights_.values_, row_, col_);
      if (weights_.kind_ != Kind::values) weights_.write_bf16(data_, row_, col_, count_);
    }
    Window(const Window&) = delete;
    Window& operator=(const Window&) = delete;

    Scalar* data() const { return data_; }

   private:
    const WeightsView& weights_;
    Index row_, col_, count_;
    bool is_direct_;
    Scalar* data_;
    alignas(lane_bytes) Scalar copy_[window_size];
  };

  Scalar at(Index row, Index col) const {
    Scalar x;
    read(row, col, 1, &x);
    return x;
  }

  /// Reads at most window_size entries of a row.
  void read(Index row, Index col, Index count, Scalar* to) const {
    if constexpr (std::same_as<Scalar, float>) {
      if (!has_values()) {
        const StoredRun run(bf16_, row, col, count);
        const bfloat16* high = run.data();
        if (kind_ == Kind::split) {
          const StoredRun low_run(low_bits_, row, col, count);
          const std::uint16_t* low = low_run.data();
          for_each_vector<float>(count, [=](auto at) SYMOPT_INLINE_LAMBDA {
            store(to, at, Lanes<float>::of_bits(load_16_bits(high, at) << 16 | load_16_bits(low, at)));
          });
        } else {
          for_each_vector<float>(count, [=](auto at) SYMOPT_INLINE_LAMBDA { store(to, at, load(high, at)); });
        }
        return;
      }
    }
    gather(values_, row, col, count, to);
  }

  /// visit(memory, bytes) for all runs of memory that are written, whatever their numbers.
  void for_each_stored(const auto& visit) const {
    const auto visit_all = [&](const auto& block) {
      const auto width = sizeof(*block.data);
      for (Index i = 0; i < block.row_count(); ++i) {
        if (block.has_contiguous_rows()) {
          visit(block.row(i), static_cast<std::size_t>(block.cols.size) * width);
        } else {
          for (Index j = 0; j < block.cols.size; ++j) visit(block.row(i) + block.cols.offset(j), width);
        }
      }
    };
    if (has_values()) visit_all(values_);
    if (kind_ != Kind::values) visit_all(bf16_);
    if (kind_ == Kind::split) visit_all(low_bits_);
  }

 private:
  enum class Kind { values, copied, split, rounded };

  bool is_direct(Index col, Index count) const {
    return has_values() && contiguous_from(values_, col) >= count;
  }
  bool has_values() const { return kind_ == Kind::values || kind_ == Kind::copied; }

  void write_bf16(const Scalar* from, Index row, Index col, Index count) const {
    if constexpr (std::same_as<Scalar, float>) {
      const WrittenRun run(bf16_, row, col, count);
      bfloat16* high = run.data();
      if (kind_ == Kind::split) {
        const WrittenRun low_run(low_bits_, row, col, count);
        std::uint16_t* low = low_run.data();
        for_each_vector<float>(count, [=](auto at) SYMOPT_INLINE_LAMBDA {
          const FloatBits bits = load(from, at).bits();
          store_16_bits(high, at, bits >> 16);
          store_16_bits(low, at, bits & 0xffffU);
        });
      } else {
        for_each_vector<float>(count, [=, rounder = rounder_](auto at) SYMOPT_INLINE_LAMBDA {
          store_16_bits(high, at, rounder(load(from, at), row, col + at.j));
        });
      }
    }
  }

  Kind kind_ = Kind::values;
  BlockView<Scalar> values_;
  BlockView<bfloat16> bf16_;
  BlockView<std::uint16_t> low_bits_;
  Rounder rounder_;
};

}}}  // namespace symopt::kernel
