// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/abi.hpp>

#include <cmath>
#include <cstdint>
#include <limits>

namespace symopt { inline namespace SYMOPT_ABI { namespace detail {

/// The steps between the roots of full second moments where the rule names none.
inline constexpr int usual_steps_between_roots = 10;

/// The decision of a step about the root of its second moments.
struct RootRenewal {
  bool is_due = true;  ///< a new one
  /// c: with the root of the present moments |U|_F^2 <= c k n holds for the direction U, k x n.
  double largest_square = std::numeric_limits<double>::infinity();
};

/// Roots are renewed in steps 1 to `every`, when moments change much, and then every so many steps.
///
/// The bound: with a_i the weights of the gradients G_i in the bias-corrected momentum and w_i those in the
/// bias-corrected moments, c = sum of a_i^2 / w_i. By Cauchy and Schwarz M M^T <= c sum of w_i G_i G_i^T =
/// c n V, and so tr(V^(-1/2) M M^T V^(-1/2)) <= c n k, whatever the gradients. A direction beyond it is due
/// to a root that is out of date.
inline RootRenewal root_renewal(double beta1, double beta2, int every, std::int64_t step) {
  const int steps = every > 0 ? every : usual_steps_between_roots;
  const double t = static_cast<double>(step);
  RootRenewal renewal{.is_due = step <= steps || step % steps == 0};
  if (beta2 == 0) {
    if (beta1 == 0) renewal.largest_square = 1;
    return renewal;
  }
  const double ratio = beta1 * beta1 / beta2;
  const double sum = ratio == 1 ? t : (1 - std::pow(ratio, t)) / (1 - ratio);
  const double first = (1 - beta1) / (1 - std::pow(beta1, t));
  renewal.largest_square = first * first * (1 - std::pow(beta2, t)) / (1 - beta2) * sum;
  return renewal;
}

}}}  // namespace symopt::detail
