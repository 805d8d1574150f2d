// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/matrix.hpp>

#include <algorithm>
#include <random>

namespace symopt { inline namespace SYMOPT_ABI { namespace detail {

inline constexpr Index most_signs_in_full = 8;

/// The sign vectors of an average, one per row: all 2^r, or, beyond r = 8, as many drawn once and for all,
/// each beside its opposite.
inline Matrix<double> sign_choices(Index r, bool is_averaged) {
  if (!is_averaged) return Matrix<double>::Ones(1, r);
  const Index full = Index(1) << std::min(r, most_signs_in_full);
  Matrix<double> signs(full, r);
  std::mt19937_64 engine(21103336);
  for (Index i = 0; i < full; ++i)
    for (Index k = 0; k < r; ++k) {
      if (r <= most_signs_in_full) {
        signs(i, k) = ((i >> k) & 1) != 0 ? -1.0 : 1.0;
      } else {
        signs(i, k) = i % 2 == 1 ? -signs(i - 1, k) : ((engine() & 1) != 0 ? -1.0 : 1.0);
      }
    }
  return signs;
}

}}}  // namespace symopt::detail
