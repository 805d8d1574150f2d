// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/memory/runs.hpp>
#include <symopt/simd/load_store.hpp>

#include <type_traits>

namespace symopt { inline namespace SYMOPT_ABI { namespace kernel {

/// A gradient that is read: in the scalar that the step computes in, or in bfloat16 where that is float.
template <class Scalar>
class GradientView {
 public:
  using value_type = Scalar;
  static constexpr bool limits_runs = true;

  GradientView(const BlockView<const Scalar>& values) : values_(values) {}
  GradientView(const BlockView<const bfloat16>& bf16) requires std::same_as<Scalar, float> : bf16_(bf16),
                                                                                             is_bf16_(true) {}

  Shape shape() const {
    return is_bf16_ ? symopt::detail::shape_of(bf16_) : symopt::detail::shape_of(values_);
  }
  GradientView transposed() const {
    if constexpr (std::same_as<Scalar, float>)
      if (is_bf16_) return GradientView(bf16_.transposed());
    return GradientView(values_.transposed());
  }
  Orientation orientation() const {
    return is_bf16_ ? symopt::detail::orientation_of(bf16_) : symopt::detail::orientation_of(values_);
  }
  /// The numbers as they are, where they are in Scalar; null otherwise.
  const BlockView<const Scalar>* values() const { return is_bf16_ ? nullptr : &values_; }

  /// The numbers as one row of all of them, where they lie without gaps and are of that type; null otherwise.
  ///@{
  const Scalar* values_without_gaps() const { return is_bf16_ ? nullptr : without_gaps(values_); }
  const bfloat16* bf16_without_gaps() const { return is_bf16_ ? without_gaps(bf16_) : nullptr; }
  ///@}

  /// The most entries of a row that one window can show from column `col` on.
  Index run_from(Index col) const {
    const Index run = is_bf16_ ? 0 : contiguous_from(values_, col);
    return run > 0 ? run : window_size;
  }

  /// The distance from a run in one row to that in another, in entries; 0 where windows onto them are copies.
  Index between_rows(Index from, Index to, Index col, Index count) const {
    if (is_bf16_ || contiguous_from(values_, col) < count) return 0;
    return static_cast<Index>(values_.row(to) - values_.row(from));
  }

  Scalar at(Index row, Index col) const {
    if constexpr (std::same_as<Scalar, float>)
      if (is_bf16_) return to_float(bf16_.row(row)[bf16_.cols.offset(col)]);
    return values_.row(row)[values_.cols.offset(col)];
  }

  /// Some entries of a row, next to each other.
  template <bool is_written = false>
  class Window {
    static_assert(!is_written, "a gradient is only read");

   public:
    Window(const GradientView& gradient, Index row, Index col, Index count) {
      if (!gradient.is_bf16_ && contiguous_from(gradient.values_, col) >= count) {
        data_ = gradient.values_.row(row) + gradient.values_.cols.offset(col);
      } else {
        gradient.copy(row, col, count, copy_);
        data_ = copy_;
      }
    }
    Window(const Window&) = delete;
    Window& operator=(const Window&) = delete;

    const Scalar* data() const { return data_; }

   private:
    const Scalar* data_;
    alignas(lane_bytes) Scalar copy_[window_size];
  };

 private:
  template <class T>
  static const T* without_gaps(const BlockView<const T>& view) {
    const bool is_whole = view.selected_rows == nullptr && view.rows.parts == 1 &&
                          view.has_contiguous_rows() && view.rows.stride == view.cols.size;
    return is_whole ? view.data : nullptr;
  }

  void copy(Index row, Index col, Index count, Scalar* to) const {
    if constexpr (std::same_as<Scalar, float>) {
      if (is_bf16_) {
        const StoredRun run(bf16_, row, col, count);
        const bfloat16* from = run.data();
        for_each_vector<float>(count, [=](auto at) SYMOPT_INLINE_LAMBDA { store(to, at, load(from, at)); });
        return;
      }
    }
    gather(values_, row, col, count, to);
  }

  BlockView<const Scalar> values_;
  BlockView<const bfloat16> bf16_;
  bool is_bf16_ = false;
};

}}}  // namespace symopt::kernel
