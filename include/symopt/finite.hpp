// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/abi.hpp>

#include <bit>
#include <concepts>
#include <cstdint>
#include <cstring>
#include <limits>

// Tests whether a number is neither Inf nor NaN, by its bits: -ffast-math lets a compiler take it for
// granted, and std::isfinite is then true of every number.
namespace symopt { inline namespace SYMOPT_ABI { namespace detail {

/// Tests whether a number is neither Inf nor NaN.
///@{
constexpr bool is_finite(float x) {
  return (std::bit_cast<std::uint32_t>(x) & 0x7f800000U) != 0x7f800000U;
}

constexpr bool is_finite(double x) {
  return (std::bit_cast<std::uint64_t>(x) & 0x7ff0000000000000U) != 0x7ff0000000000000U;
}

inline bool is_finite(long double x) {
  constexpr int digits = std::numeric_limits<long double>::digits;
  if constexpr (digits == 64 || digits == 113) {  // x87's, or quadruple: the exponent is beside the sign
    std::uint16_t exponent = 0;
    constexpr std::size_t place = std::endian::native == std::endian::big ? 0 : digits == 64 ? 8 : 14;
    std::memcpy(&exponent, reinterpret_cast<const unsigned char*>(&x) + place, sizeof exponent);
    return (exponent & 0x7fffU) != 0x7fffU;
  } else {
    return is_finite(static_cast<double>(x));
  }
}
///@}

/// Tests whether a number keeps its digits: neither Inf, NaN, zero nor subnormal.
template <std::floating_point T>
bool is_normal(T x) {
  return is_finite(x) && (x < 0 ? -x : x) >= std::numeric_limits<T>::min();
}

/// Tests whether all entries of an Eigen object are finite.
bool all_entries_finite(const auto& block) {
  using Index = decltype(block.rows());
  for (Index i = 0; i < block.rows(); ++i)
    for (Index j = 0; j < block.cols(); ++j)
      if (!is_finite(block.coeff(i, j))) return false;
  return true;
}

}  // namespace detail

}}  // namespace symopt
