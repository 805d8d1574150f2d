// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/error.hpp>
#include <symopt/finite.hpp>
#include <symopt/kernel/adamw.hpp>
#include <symopt/matrix.hpp>
#include <symopt/memory/oriented_buffer.hpp>

#include <cmath>
#include <cstdint>
#include <limits>
#include <sstream>
#include <string>

namespace symopt { inline namespace SYMOPT_ABI { namespace detail {

/// Throws Error for a mean of squares, or its root, that is negative: a file may hold what no step makes. An
/// Inf or NaN is for the loader to refuse.
///@{
inline void require_mean_of_squares(double mean, const char* name) {
  require(!(mean < 0),
          [&] { return "an entry of its state " + std::string(name) + " is negative; no step makes that"; });
}
void require_means_of_squares(const auto& means, const char* name) {
  for (Index i = 0; i < means.rows(); ++i)
    for (Index j = 0; j < means.cols(); ++j) require_mean_of_squares(static_cast<double>(means(i, j)), name);
}
///@}

/// Throws Error that names the rule's option unless betas and eps are in range.
inline void require_moment_options(const char* rule, double beta1, double beta2, double eps) {
  const auto require_option = [&](bool good, const char* what) {
    if (!good) fail({}, joined({rule, "::", what}));
  };
  require_option(beta1 >= 0 && beta1 < 1, "beta1 must be at least 0 and less than 1");
  require_option(beta2 >= 0 && beta2 < 1, "beta2 must be at least 0 and less than 1");
  require_option(eps > 0 && is_finite(eps), "eps must be positive: a zero gradient would divide 0 by 0");
}

/// Throws Error unless eps keeps its meaning in Scalar: it is at least `smallest`, beside which the second
/// moments that Scalar cannot hold are little.
template <class Scalar>
void require_eps_in(const char* rule, double eps, double smallest) {
  const bool is_good = eps >= smallest && eps <= static_cast<double>(std::numeric_limits<Scalar>::max());
  require(is_good, [&] {
    std::ostringstream text;
    text << rule << "::eps is " << eps << "; in " << (sizeof(Scalar) == 4 ? "float" : "double")
         << " it must be finite and at least " << smallest
         << ", or second moments too small to be held would make steps too long";
    return text.str();
  });
}

/// The coefficients of a rule with Adam's betas at a step, counted from 1: v <- beta v + (1 - beta) x, and
/// the bias corrections of Kingma and Ba, arXiv 1412.6980, section 3.
inline kernel::AdamWCoefficients adam_coefficients(double beta1, double beta2, double eps,
                                                   std::int64_t step) {
  const double t = static_cast<double>(step);
  return {.beta1 = beta1,
          .first_weight = 1.0 - beta1,
          .beta2 = beta2,
          .second_weight = 1.0 - beta2,
          .first_correction = 1.0 / (1.0 - std::pow(beta1, t)),
          .second_correction = 1.0 / std::sqrt(1.0 - std::pow(beta2, t)),
          .eps = eps};
}

/// A bound on the entries of a direction that divides the bias-corrected momentum by eps or more.
template <class Scalar>
double largest_of_quotient(const kernel::OrientedBuffer<Scalar>& momentum,
                           const kernel::AdamWCoefficients& own, double largest_gradient) {
  const double next = own.beta1 * momentum.bound() + own.first_weight * largest_gradient;
  return next * own.first_correction / own.eps;
}

}}}  // namespace symopt::detail
