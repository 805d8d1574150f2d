// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/kernel/places.hpp>
#include <symopt/kernel/windows.hpp>

#include <cstdint>

namespace symopt { inline namespace SYMOPT_ABI { namespace kernel {

/// visit(numbers) with a stretch of a row of halves: where it lies, or, where its numbers lie apart, in a
/// copy.
template <class Half, class Visit>
void read_halves(const BlockView<Half>& view, Index row, Index col, Index count, Visit&& visit) {
  if (contiguous_from(view, col) >= count) {
    visit(view.row(row) + view.cols.offset(col));
  } else {
    std::remove_const_t<Half> copy[window_size];
    gather(view, row, col, count, copy);
    visit(copy);
  }
}
/// The same for a visitor that writes all of them.
template <class Half, class Visit>
void write_halves(const BlockView<Half>& view, Index row, Index col, Index count, Visit&& visit) {
  if (contiguous_from(view, col) >= count) {
    visit(view.row(row) + view.cols.offset(col));
  } else {
    Half copy[window_size];
    visit(copy);
    scatter(copy, count, view, row, col);
  }
}

/// A gradient that is read: in the scalar that the step computes in, or in bfloat16 where that is float.
template <class Scalar>
class GradientView {
 public:
  GradientView(const BlockView<const Scalar>& values) : values_(values) {}
  GradientView(const BlockView<const bfloat16>& halves) requires std::same_as<Scalar, float>
      : halves_(halves), is_halves_(true) {}

  Shape shape() const { return is_halves_ ? shape_of(halves_) : shape_of(values_); }
  GradientView transposed() const {
    if constexpr (std::same_as<Scalar, float>)
      if (is_halves_) return GradientView(halves_.transposed());
    return GradientView(values_.transposed());
  }
  Orientation orientation() const { return is_halves_ ? orientation_of(halves_) : orientation_of(values_); }
  /// The numbers as they are, where they are in Scalar; null otherwise.
  const BlockView<const Scalar>* values() const { return is_halves_ ? nullptr : &values_; }

  /// The numbers as one row of all of them, where they lie without gaps and are of that type; null otherwise.
  const Scalar* values_without_gaps() const { return is_halves_ ? nullptr : without_gaps(values_); }
  const bfloat16* halves_without_gaps() const { return is_halves_ ? without_gaps(halves_) : nullptr; }

  Index stretch_from(Index col) const {
    const Index run = is_halves_ ? 0 : contiguous_from(values_, col);
    return run > 0 ? run : window_size;
  }

  Scalar at(Index row, Index col) const {
    if constexpr (std::same_as<Scalar, float>)
      if (is_halves_) return to_float(halves_.row(row)[halves_.cols.offset(col)]);
    return values_.row(row)[values_.cols.offset(col)];
  }

  /// A stretch of a row, as numbers.
  class Window {
   public:
    Window(const GradientView& gradient, Index row, Index col, Index count) {
      if (!gradient.is_halves_ && contiguous_from(gradient.values_, col) >= count) {
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
    Scalar copy_[window_size];
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
      if (is_halves_) {
        read_halves(halves_, row, col, count, [&](const bfloat16* from) {
          for_each_place<float>(count, [&](auto at) SYMOPT_INLINE_LAMBDA { store(to, at, load(from, at)); });
        });
        return;
      }
    }
    gather(values_, row, col, count, to);
  }

  BlockView<const Scalar> values_;
  BlockView<const bfloat16> halves_;
  bool is_halves_ = false;
};

}}}  // namespace symopt::kernel
