// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/memory/buffer.hpp>

#include <algorithm>

namespace symopt { inline namespace SYMOPT_ABI { namespace kernel {

/// The sums of a momentum over its rows, one for each column, kept beside it from step to step: the next step
/// then reads the momentum once less. They are sums of the stored numbers, so that they can be made again, to
/// the bit, once they are invalid: they have to be where anything but the step that keeps them has written
/// the momentum. Invalid at the start.
class MomentumSums {
 public:
  MomentumSums() = default;
  explicit MomentumSums(Index cols) : sums_(cols) {}

  /// Room for so many. Takes memory where there is less.
  void reserve(Index cols) {
    if (cols <= sums_.size()) return;
    sums_ = Buffer<double>(cols);
    is_valid_ = false;
  }

  bool is_valid() const { return is_valid_; }
  const double* data() const { return sums_.data(); }

  /// Takes over `cols` sums. Allocates nothing.
  void set(const double* sums, Index cols) {
    eigen_assert(cols <= sums_.size());
    std::copy(sums, sums + cols, sums_.data());
    is_valid_ = true;
  }
  void invalidate() { is_valid_ = false; }

 private:
  Buffer<double> sums_;
  bool is_valid_ = false;
};

}}}  // namespace symopt::kernel
