// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/matrix.hpp>

#include <cmath>
#include <limits>

namespace symopt {

/// How gradients g are averaged into the momentum m, which starts at zero, without bias correction:
///   ema         m <- beta m + (1 - beta) g     in the units of a gradient
///   heavy_ball  m <- beta m + g                1 / (1 - beta) times larger in the long run
/// The two differ by a constant factor that a scale-free rule does not see; under DualNorm they are
/// different optimizers.
enum class MomentumConvention { ema, heavy_ball };

constexpr const char* to_string(MomentumConvention convention) {
  return convention == MomentumConvention::ema ? "ema" : "heavy_ball";
}

/// What the rule is given: the momentum, or with Nesterov the momentum that one more step with the same
/// gradient would make (ema: beta m + (1 - beta) g; heavy ball: beta m + g).
/// Momentum and direction in one pass; `gradient` may have any strides. A momentum below the smallest normal
/// number becomes zero: rounding would keep a subnormal one alive for ever, and slow every step.
template <class Scalar, class Gradient>
void accumulate(MatrixRef<Scalar> momentum, const Gradient& gradient, MatrixRef<Scalar> direction,
                MomentumConvention convention, double beta, bool nesterov) {
  const Scalar keep = static_cast<Scalar>(beta);
  const Scalar add = convention == MomentumConvention::ema ? static_cast<Scalar>(1.0 - beta) : Scalar(1);
  const auto flush = [](Scalar x) {
    return std::abs(x) < std::numeric_limits<Scalar>::min() ? Scalar(0) : x;
  };
  for (Index i = 0; i < momentum.rows(); ++i) {
    momentum.row(i) = (keep * momentum.row(i) + add * gradient.row(i)).unaryExpr(flush);
    if (nesterov) {
      direction.row(i) = keep * momentum.row(i) + add * gradient.row(i);
    } else {
      direction.row(i) = momentum.row(i);
    }
  }
}

}  // namespace symopt
