// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/block_view.hpp>

#include <bit>
#include <cstdint>
#include <cstdlib>
#include <limits>

namespace symopt::inline SYMOPT_ABI::kernel {

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
template <class Scalar>
bool all_finite(const BlockView<const Scalar>& block) {
  using Mask = ExponentMask<Scalar>;
  using Bits = typename Mask::Bits;
  const bool runs_along_columns = std::abs(block.rows.stride) < std::abs(block.cols.stride);
  if (runs_along_columns && block.selected_rows == nullptr && block.rows.parts == 1 && block.cols.parts == 1)
    return all_finite<Scalar>(block.transposed());  // in the order of the memory

  bool finite = true;
  for_each_segment(block, [&](Index, Index, const auto& segment) {
    Bits found = 0;  // no early exit inside a line: the loop stays vectorizable
    for (Index j = 0; j < segment.size(); ++j) {
      const Bits bits = std::bit_cast<Bits>(segment.coeff(j));
      found |= static_cast<Bits>((bits & Mask::value) == Mask::value);
    }
    finite = finite && found == 0;
  });
  return finite;
}

}  // namespace symopt::kernel
