// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/kernel/adamw.hpp>
#include <symopt/kernel/norm_factors.hpp>

#include <algorithm>
#include <cmath>

namespace symopt { inline namespace SYMOPT_ABI { namespace kernel {

/// The root of keep_second root^2 + add_second x^2, whose squares may be out of range.
inline double next_root(double root, double x, const AdamWCoefficients& own) {
  const double largest = std::max(root, x);
  if (!(largest > 0)) return root + x;  // zero, or NaN
  const double a = root / largest, b = x / largest;
  return largest * std::sqrt(own.keep_second * a * a + own.add_second * b * b);
}

/// What a momentum is multiplied by: the first correction times `length` over the root without its bias plus
/// eps.
template <class Scalar>
NormFactors<Scalar> factors_of_root(double root, const AdamWCoefficients& own, double length) {
  return {root * own.second_correction + own.eps, 0, own.first_correction * length};
}

}}}  // namespace symopt::kernel
