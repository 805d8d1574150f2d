// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/polar/minimax_method.hpp>

namespace symopt { inline namespace SYMOPT_ABI { namespace polar {

/// The method behind Spectral and its kin where none is named: the best rational map with three shifted
/// inverses of the Gram matrix, see MinimaxMethod. A single line is divided by its norm.
/// Band: for singular values of at least 1e-3 of the Frobenius norm within 4.4 % of 1, in float within 6 %,
/// of which a part is left to rounding. The less, the more singular values share the norm: within 2.8 %
/// (float 3.0 %) from an effective rank (sum s^2)^2 / sum s^4 of 16 on, within 2 % from 128 on, as of
/// Gaussian blocks from 256 x 256 on. Smaller singular values come out smaller, at most 2140 times their
/// share of the norm; none exceeds the band. A small change of the block makes a small change of the result.
/// Cost: 3 k^2 n + 3 k^3 flops; memory four squares of k x k (three where k > 832, two where k > 1024), and
/// packed slabs of at most twice the block or 1024 lanes of it.
struct Automatic : MinimaxMethod<3> {};

}}}  // namespace symopt::polar

namespace symopt { inline namespace SYMOPT_ABI {

/// The method behind Spectral<> and its one-sided forms.
using DefaultPolar = polar::Automatic;

}}  // namespace symopt
