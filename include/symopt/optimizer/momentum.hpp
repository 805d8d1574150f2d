// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/abi.hpp>

namespace symopt { inline namespace SYMOPT_ABI {

/// The average of the gradients g that is the momentum m, which starts at zero, without bias correction:
///   ema         m <- beta m + (1 - beta) g     in the units of a gradient
///   heavy_ball  m <- beta m + g                1 / (1 - beta) times larger in the long run
/// The two differ by a constant factor that a scale-free rule does not see; under DualNorm they are
/// different optimizers. With Nesterov the rule is given what one more step with the same gradient would make
/// of m.
enum class MomentumConvention { ema, heavy_ball };

constexpr const char* to_string(MomentumConvention convention) {
  return convention == MomentumConvention::ema ? "ema" : "heavy_ball";
}

}}  // namespace symopt
