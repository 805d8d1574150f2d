// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/block_view.hpp>
#include <symopt/kernel/buffer.hpp>
#include <symopt/kernel/momentum_sums.hpp>

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

/// State of the size of a block, kept in the order in which the block's weights lie in memory, with room for
/// some sums over it. Starts at zero.
template <class Scalar>
class FramedBuffer {
 public:
  explicit FramedBuffer(Shape shape, Index sums = 0)
      : shape_(shape), buffer_(shape.rows * shape.cols), sums_(sums) {}

  /// The state in that frame, rows contiguous: cols x rows where it is the transposed one. Turns the memory
  /// if it was in the other one.
  BlockView<Scalar> in_frame(bool is_transposed) {
    if (is_transposed_ != is_transposed && is_used_) {
      const Shape lies = is_transposed_ ? transposed(shape_) : shape_;
      transpose_in_place(buffer_.data(), lies.rows, lies.cols);
      sums_.forget();
    }
    is_transposed_ = is_transposed;
    is_used_ = true;
    const Shape frame = is_transposed ? transposed(shape_) : shape_;
    return {buffer_.data(), {frame.rows, frame.cols}, {frame.cols, 1}};
  }

  /// rows x cols, to be saved and loaded, whichever way it lies.
  BlockView<Scalar> saved_block() {
    is_used_ = true;
    sums_.forget();
    if (is_transposed_) return {buffer_.data(), {shape_.rows, 1}, {shape_.cols, shape_.rows}};
    return {buffer_.data(), {shape_.rows, shape_.cols}, {shape_.cols, 1}};
  }

  /// Over the rows of the frame that was asked for last. They are forgotten when the state turns, and when it
  /// may be loaded.
  MomentumSums& sums() { return sums_; }

  /// rows x cols, read-only, whichever way it lies.
  auto view() const {
    using Stride = Eigen::Stride<Eigen::Dynamic, Eigen::Dynamic>;
    return Eigen::Map<const Matrix<Scalar>, 0, Stride>(
        buffer_.data(), shape_.rows, shape_.cols,
        is_transposed_ ? Stride(1, shape_.rows) : Stride(shape_.cols, 1));
  }

 private:
  Shape shape_;
  Buffer<Scalar> buffer_;
  MomentumSums sums_;
  bool is_transposed_ = false;
  bool is_used_ = false;  // all zeros until then, which are their own transpose
};

}}}  // namespace symopt::kernel
