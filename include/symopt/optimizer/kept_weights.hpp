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
    weights.for_each_stored([&](const auto& number) {
      const auto* bytes = reinterpret_cast<const std::byte*>(&number);
      bytes_.insert(bytes_.end(), bytes, bytes + sizeof number);
    });
  }
  /// Puts a block back, which was kept from the byte `next` on; returns the first of the next block.
  std::size_t put_back(const kernel::WeightsView<Scalar>& weights, std::size_t next = 0) const {
    weights.for_each_stored([&](auto& number) {
      std::memcpy(static_cast<void*>(&number), bytes_.data() + next, sizeof number);
      next += sizeof number;
    });
    return next;
  }

 private:
  std::vector<std::byte> bytes_;
};

}}}  // namespace symopt::detail
