// SPDX-License-Identifier: Apache-2.0
#pragma once

#if !defined(ENS_VERSION_MAJOR) && __has_include(<ensmallen.hpp>)
#include <ensmallen.hpp>
#endif

#include <symopt/error.hpp>

#include <algorithm>
#include <cstddef>
#include <string>

namespace symopt { inline namespace SYMOPT_ABI { namespace interop::detail {

/// Tests whether SGD divides its step size by the size of the batch before a policy sees it: ensmallen does
/// since its version 3, unless it is told to keep the behaviour of version 2.
#if defined(ENS_OLD_SEPARABLE_STEP_BEHAVIOR) || (defined(ENS_VERSION_MAJOR) && ENS_VERSION_MAJOR < 3)
inline constexpr bool step_size_is_divided = false;
#else
inline constexpr bool step_size_is_divided = true;
#endif

/// Throws Error unless a policy knows the batches of its SGD.
inline void require_batches(const char* policy, std::size_t batch_size, std::size_t samples) {
  symopt::detail::require(batch_size > 0, [&] {
    return std::string(policy) +
           ": batch_size is 0; give it the batch size of SGD, whose gradients are sums over a batch";
  });
  symopt::detail::require(samples > 0, [&] {
    return std::string(policy) +
           ": samples is 0; give it the number of samples, NumFunctions() of the function, so that it knows "
           "the size of an epoch's last batch";
  });
}

/// The sizes of SGD's batches, one after the other, which it tells no policy.
class BatchSizes {
 public:
  BatchSizes(std::size_t batch_size, std::size_t samples, std::size_t max_iterations)
      : batch_size_(batch_size), samples_(samples), max_iterations_(max_iterations) {}

  /// The next one: what is left of the epoch or of all iterations, where that is less.
  std::size_t next() {
    std::size_t size = std::min(batch_size_, samples_ - seen_ % samples_);
    if (max_iterations_ > seen_) size = std::min(size, max_iterations_ - seen_);
    seen_ += size;
    return size;
  }

 private:
  std::size_t batch_size_, samples_, max_iterations_;
  std::size_t seen_ = 0;  // samples, in all epochs
};

}}}  // namespace symopt::interop::detail
