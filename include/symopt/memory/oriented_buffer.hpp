// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/finite.hpp>
#include <symopt/memory/block_view.hpp>
#include <symopt/memory/buffer.hpp>
#include <symopt/memory/momentum_sums.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

namespace symopt { inline namespace SYMOPT_ABI { namespace kernel {

/// Turns a contiguous rows x cols block into its transpose where it lies, cycle by cycle of the permutation:
/// no memory, and of the order of n log n reads far apart, which is slow.
template <class Scalar>
void transpose_in_place(Scalar* data, Index rows, Index cols) {
  const Index last = rows * cols - 1;
  const auto source_of = [&](Index to) { return to == last ? last : (to * cols) % last; };
  for (Index start = 1; start < last; ++start) {
    Index at = source_of(start);
    while (at > start) at = source_of(at);
    if (at < start) continue;  // a cycle that began earlier
    const Scalar first = data[start];
    for (at = start;;) {
      const Index from = source_of(at);
      if (from == start) break;
      data[at] = data[from];
      at = from;
    }
    data[at] = first;
  }
}

/// A block that is kept from step to step, a momentum or a moment, in memory that runs as the weights do,
/// with room for some sums over it, and a bound on its entries. Starts at zero.
template <class Scalar>
class OrientedBuffer {
 public:
  explicit OrientedBuffer(Shape shape) : shape_(shape), buffer_(shape.rows * shape.cols) {}

  /// rows x cols, its memory turned where it ran the other way. The sums stay what they are, for the step
  /// that keeps them; where the memory is turned they are invalid.
  BlockView<Scalar> for_step(Orientation orientation) {
    if (orientation_ != orientation && is_used_) {
      const Shape lines = orientation_ == Orientation::along_rows ? shape_ : transposed(shape_);
      transpose_in_place(buffer_.data(), lines.rows, lines.cols);
      sums_.invalidate();
    }
    orientation_ = orientation;
    is_used_ = true;
    return as_it_lies();
  }

  /// rows x cols as it lies, to be written by anything but a step: sums and bound are invalid.
  BlockView<Scalar> for_writing() {
    is_used_ = true;
    sums_.invalidate();
    bound_ = unknown;
    return as_it_lies();
  }
  /// rows x cols as it lies, to be read: changes nothing.
  BlockView<Scalar> for_reading() { return as_it_lies(); }

  /// rows x cols as it lies, read-only.
  auto view() const {
    using Stride = Eigen::Stride<Eigen::Dynamic, Eigen::Dynamic>;
    return Eigen::Map<const Matrix<Scalar>, 0, Stride>(
        buffer_.data(), shape_.rows, shape_.cols,
        orientation_ == Orientation::along_rows ? Stride(shape_.cols, 1) : Stride(1, shape_.rows));
  }

  /// Sums over the lines of the last step's orientation, of as many entries as were reserved.
  ///@{
  void reserve_sums(Index count) { sums_.reserve(count); }
  MomentumSums& sums() { return sums_; }
  ///@}

  /// A bound on the size of the entries; Inf where none is known. A step that averages advances it, with its
  /// own factors and a bound on the entries of its gradient, and some room for rounding.
  ///@{
  double bound() const { return bound_; }
  void advance_bound(double beta, double gradient_weight, double largest_gradient) {
    constexpr double room = 1 + 0x1p-20;
    bound_ = bound_ < unknown && largest_gradient < unknown
                 ? room * (beta * bound_ + gradient_weight * largest_gradient)
                 : unknown;
  }
  /// Looks at all entries.
  void find_bound() {
    bound_ = 0;
    for (Index k = 0; k < buffer_.size(); ++k) {
      const double entry = std::abs(static_cast<double>(buffer_.data()[k]));
      if (!symopt::detail::is_finite(entry)) {
        bound_ = unknown;
        return;
      }
      bound_ = std::max(bound_, entry);
    }
  }
  ///@}

 private:
  static constexpr double unknown = std::numeric_limits<double>::infinity();

  BlockView<Scalar> as_it_lies() {
    if (orientation_ == Orientation::along_rows)
      return {buffer_.data(), {shape_.rows, shape_.cols}, {shape_.cols, 1}};
    return {buffer_.data(), {shape_.rows, 1}, {shape_.cols, shape_.rows}};
  }

  Shape shape_;
  Buffer<Scalar> buffer_;
  MomentumSums sums_;
  double bound_ = 0;
  Orientation orientation_ = Orientation::along_rows;
  bool is_used_ = false;  // all zeros until then, which are their own transpose
};

}}}  // namespace symopt::kernel
