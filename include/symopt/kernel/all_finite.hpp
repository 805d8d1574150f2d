// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/matrix.hpp>

#include <bit>
#include <cstdint>
#include <limits>

namespace symopt::kernel {

/// The exponent field of an IEEE number with every bit set: what Inf and NaN share.
template <RealScalar Scalar>
struct ExponentMask;
template <>
struct ExponentMask<float> {
  using Bits = std::uint32_t;
  static constexpr Bits value = 0x7f800000U;
};
template <>
struct ExponentMask<double> {
  using Bits = std::uint64_t;
  static constexpr Bits value = 0x7ff0000000000000ULL;
};

/// True when no entry of `block` is Inf or NaN. Looks at bits rather than comparing numbers, so it
/// also holds in programs built with -ffast-math. One read of the block; no allocation.
template <class Derived>
bool all_finite(const Eigen::MatrixBase<Derived>& block) {
  using Mask = ExponentMask<typename Derived::Scalar>;
  using Bits = typename Mask::Bits;
  const Index outer = block.derived().outerSize();
  const Index inner = block.derived().innerSize();
  const Index outer_stride = block.derived().outerStride();
  const Index inner_stride = block.derived().innerStride();
  for (Index i = 0; i < outer; ++i) {
    const auto* line = block.derived().data() + i * outer_stride;
    Bits found = 0;  // no early exit inside a line: the loop stays vectorizable
    for (Index j = 0; j < inner; ++j) {
      const Bits bits = std::bit_cast<Bits>(line[j * inner_stride]);
      found |= static_cast<Bits>((bits & Mask::value) == Mask::value);
    }
    if (found != 0) return false;
  }
  return true;
}

}  // namespace symopt::kernel
