// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/error.hpp>
#include <symopt/finite.hpp>
#include <symopt/matrix.hpp>

#include <string>

namespace symopt { inline namespace SYMOPT_ABI { namespace detail {

/// Throws Error for a mean of squares, or its root, that is negative: a file may hold what no step makes. An
/// Inf or NaN is for the loader to refuse.
inline void require_means_of_squares(const auto& means, const char* name) {
  for (Index i = 0; i < means.rows(); ++i)
    for (Index j = 0; j < means.cols(); ++j)
      require(!(means(i, j) < 0), [&] {
        return "an entry of its state " + std::string(name) + " is negative; no step makes that";
      });
}

/// Throws Error that names the rule's option unless betas and eps are in range.
inline void require_moment_options(const char* rule, double beta1, double beta2, double eps) {
  const auto require_option = [&](bool good, const char* what) {
    if (!good) fail({}, joined({rule, "::", what}));
  };
  require_option(beta1 >= 0 && beta1 < 1, "beta1 must be at least 0 and less than 1");
  require_option(beta2 >= 0 && beta2 < 1, "beta2 must be at least 0 and less than 1");
  require_option(eps > 0 && is_finite(eps), "eps must be positive: a zero gradient would divide 0 by 0");
}

}}}  // namespace symopt::detail
