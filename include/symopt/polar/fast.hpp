// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/polar/minimax_method.hpp>

namespace symopt { inline namespace SYMOPT_ABI { namespace polar {

/// The polar factor by two shifted inverses of the Gram matrix, see MinimaxMethod: less exact than the
/// default, and a little faster. A single line is divided by its norm.
/// Band: for singular values of at least 1e-3 of the Frobenius norm within 15.1 % of 1, in float within 16.5
/// %, of which a part is left to rounding; within 11.1 % from an effective rank (sum s^2)^2 / sum s^4 of 16
/// on, within 8.4 % from 128 on, as of Gaussian blocks from 256 x 256 on. Smaller singular values come out
/// smaller, at most 1560 times their share of the norm; none exceeds the band.
/// Cost: 3 k^2 n + 2 k^3 flops; memory three squares of k x k (two where k > 1024), and packed slabs of at
/// most twice the block or 1024 lanes of it.
struct Fast : MinimaxMethod<2> {};

}}}  // namespace symopt::polar
