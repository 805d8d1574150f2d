// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/finite.hpp>
#include <symopt/matrix.hpp>

#include <algorithm>
#include <cmath>
#include <limits>

namespace symopt { inline namespace SYMOPT_ABI { namespace kernel {

/// The largest absolute entry; NaN when any entry is NaN, zero for an empty block.
template <class Derived>
typename Derived::Scalar max_abs(const Eigen::MatrixBase<Derived>& block) {
  if (block.size() == 0) return typename Derived::Scalar(0);
  return block.cwiseAbs().template maxCoeff<Eigen::PropagateNaN>();
}

/// The power of two that brings `magnitude` near 1. Multiplying by it is exact, so a map that is
/// homogeneous of degree 0 stays so to the last bit. Capped to a normal number of the scalar; 1 for
/// zero, Inf and NaN, which no scale can mend.
template <RealScalar Scalar>
Scalar power_of_two_scale(Scalar magnitude) {
  if (!(magnitude > Scalar(0)) || !symopt::detail::is_finite(magnitude)) return Scalar(1);
  constexpr int largest = std::numeric_limits<Scalar>::max_exponent - 2;
  return std::ldexp(Scalar(1), std::clamp(-std::ilogb(magnitude), -largest, largest));
}

/// The Frobenius norm of a block or the Euclidean norm of a line, without overflow or underflow of
/// the squares. Floats are summed in double, where no square leaves the range; doubles are rescaled
/// by a power of two in the rare case that a square would.
template <class Derived>
double norm(const Eigen::MatrixBase<Derived>& block) {
  using Scalar = typename Derived::Scalar;
  const double direct = std::sqrt(block.template cast<double>().squaredNorm());
  if constexpr (std::same_as<Scalar, float>) return direct;
  if (direct > 1e-140 && direct < 1e150) return direct;
  const double largest = static_cast<double>(max_abs(block));
  if (largest == 0 || !symopt::detail::is_finite(largest)) return largest;
  const double scale = power_of_two_scale(largest);
  return std::sqrt((block.template cast<double>() * scale).squaredNorm()) / scale;
}

}}}  // namespace symopt::kernel
