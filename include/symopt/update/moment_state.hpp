// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/error.hpp>
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

}}}  // namespace symopt::detail
