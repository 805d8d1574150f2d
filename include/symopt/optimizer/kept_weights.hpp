// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/finite.hpp>
#include <symopt/memory/weights_view.hpp>

#include <cstddef>
#include <cstring>
#include <vector>

namespace symopt { inline namespace SYMOPT_ABI { namespace detail {

/// Tests whether all weights are finite.
template <class Scalar>
[[gnu::cold, gnu::noinline]] bool are_finite(const kernel::WeightsView<Scalar>& weights) {
  for (Index i = 0; i < weights.shape().rows; ++i)
    for (Index j = 0; j < weights.shape().cols; ++j)
      if (!is_finite(weights.at(i, j))) return false;
  return true;
}

/// The numbers that a step of some blocks writes, to be put back to the bit. Keeping as many again allocates
/// nothing.
template <class Scalar>
class KeptWeights {
 public:
  /// Drops the weights that were kept before.
  void clear() { bytes_.clear(); }
  /// Keeps the weights of one more block.
  void keep(const kernel::WeightsView<Scalar>& weights) {
    weights.for_each_stored([&](const void* memory, std::size_t count) {
      const auto* bytes = static_cast<const std::byte*>(memory);
      bytes_.insert(bytes_.end(), bytes, bytes + count);
    });
  }
  /// Puts a block back, which was kept from the byte `next` on; returns the first of the next block.
  std::size_t put_back(const kernel::WeightsView<Scalar>& weights, std::size_t next = 0) const {
    weights.for_each_stored([&](void* memory, std::size_t count) {
      if (count > 0) std::memcpy(memory, bytes_.data() + next, count);
      next += count;
    });
    return next;
  }

 private:
  std::vector<std::byte> bytes_;
};

}}}  // namespace symopt::detail
