// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/kernel/buffer.hpp>

#include <algorithm>

namespace symopt { inline namespace SYMOPT_ABI { namespace kernel {

/// The sums of a momentum over its rows, one for each column, kept beside it from step to step: the next step
/// then reads the momentum once less. They are sums of the stored numbers, so that they can be made again, to
/// the bit, after forget(): call that wherever anything but the step that keeps them may have written the
/// momentum. None at the start.
class MomentumSums {
 public:
  MomentumSums() = default;
  explicit MomentumSums(Index cols) : sums_(cols) {}

  bool are_known() const { return are_known_; }
  const double* data() const { return sums_.data(); }

  /// Takes over `cols` sums. Allocates nothing.
  void set(const double* sums, Index cols) {
    eigen_assert(cols <= sums_.size());
    std::copy(sums, sums + cols, sums_.data());
    are_known_ = true;
  }
  void forget() { are_known_ = false; }

 private:
  Buffer<double> sums_;
  bool are_known_ = false;
};

}}}  // namespace symopt::kernel
