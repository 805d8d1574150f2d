// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/divisor.hpp>
#include <symopt/finite.hpp>
#include <symopt/scaling.hpp>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

namespace symopt { inline namespace SYMOPT_ABI { namespace kernel {

inline double power_of_two(int exponent) {
  return std::bit_cast<double>(static_cast<std::uint64_t>(exponent + 1023) << 52);
}

/// A norm that may be out of double's range: that of `scaled` numbers, each times a power of two.
struct Norm {
  double scaled;
  double scale = 1;

  /// Over a divisor of 1 or more: of the mean square of so many numbers, the root.
  double over(double divisor) const { return scaled / divisor / scale; }
};

/// The eps of a norm, and how it enters the divisor; a number alone is added.
struct Eps {
  double value = 0;
  Divisor divisor = Divisor::norm_plus_eps;

  Eps(double number, Divisor of_line = Divisor::norm_plus_eps) : value(number), divisor(of_line) {}

  /// The divisor of a line, times the scale of its norm.
  double with(Norm norm) const {
    const double eps = value * norm.scale;
    return divisor == Divisor::norm_plus_eps ? norm.scaled + eps : std::max(norm.scaled, eps);
  }
};

/// x -> numerator * x / divisor, of the norm and the eps, as (x * scale) * factor. The scale is 1 but for a
/// quotient numerator / divisor far out in the scalar's range, beyond 2^64 or 2^-64 in float: then it is a
/// power of two that brings x near 1. So nothing overflows, also where the factor is multiplied by a step
/// size later, and what underflows would have been lost in the sum. Zero for a zero norm.
template <class Scalar>
struct NormFactors {
  Scalar scale = 1;
  Scalar factor = 0;

  NormFactors() = default;
  NormFactors(Norm norm, Eps eps, double numerator) {
    if (norm.scaled == 0) return;
    const double divisor = eps.with(norm);
    if (norm.scale != 1) [[unlikely]] {
      scale = static_cast<Scalar>(norm.scale);
      factor = static_cast<Scalar>(numerator / divisor);
      return;
    }
    const double quotient = numerator / divisor;
    constexpr int most = std::numeric_limits<Scalar>::max_exponent - 2;
    const double magnitude = std::abs(quotient), farthest = power_of_two(most / 2 + 1);
    const int exponent = static_cast<int>(std::bit_cast<std::uint64_t>(divisor) >> 52) - 1023;
    if ((magnitude <= farthest && magnitude >= 1 / farthest) || exponent == 1024)
        [[likely]] {  // the latter is Inf or NaN
      factor = static_cast<Scalar>(quotient);
      return;
    }
    const double power = power_of_two(std::clamp(-exponent, -most, most));
    scale = static_cast<Scalar>(power);
    factor = static_cast<Scalar>(numerator / (divisor * power));
  }
};

/// The square root of a sum of squares in double. Doubles whose squares left the range are added up again,
/// scaled by a power of two: `scan` shows all entries to a function.
template <class Scalar, class Scan>
Norm norm_from(double sum_of_squares, Scan&& scan) {
  if constexpr (sizeof(Scalar) < sizeof(double)) return {std::sqrt(sum_of_squares)};
  if ((sum_of_squares > 1e-280 && sum_of_squares < 1e300) || sum_of_squares != sum_of_squares)
    return {std::sqrt(sum_of_squares)};
  double largest = 0;
  scan([&](Scalar x) { largest = std::max(largest, static_cast<double>(std::abs(x))); });
  if (largest == 0 || !symopt::detail::is_finite(largest)) return {largest};
  const double scale = power_of_two_scale(largest);
  double sum = 0;
  scan([&](Scalar x) { sum += (static_cast<double>(x) * scale) * (static_cast<double>(x) * scale); });
  return {std::sqrt(sum), scale};
}

}}}  // namespace symopt::kernel
