// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/simd/lanes.hpp>

namespace symopt { inline namespace SYMOPT_ABI { namespace kernel {

/// The coefficients of one step:
///   m <- beta m + gradient_weight f g,   W <- W - decay W (or decay P W) - step_size * direction
/// with f the gradient_factor.
struct StepCoefficients {
  double beta = 0;
  double gradient_weight = 1;
  bool nesterov = false;
  double decay = 0;
  bool decay_is_horizontal = false;
  double step_size = 0;
  double gradient_factor = 1;  ///< of clipping: multiplies the gradient wherever a step uses it

  /// The weight in the average of the gradient as it lies in memory, before clipping.
  double weight_of_stored_gradient() const { return gradient_weight * gradient_factor; }
};

/// The running average in lanes. An entry of the momentum below the smallest normal number becomes zero:
/// rounding would keep a subnormal one alive for ever, and slow every step.
template <class Scalar>
struct Average {
  Lanes<Scalar> beta, gradient_weight;
  bool nesterov;

  explicit Average(const StepCoefficients& coefficients)
      : beta(static_cast<Scalar>(coefficients.beta)),
        gradient_weight(static_cast<Scalar>(coefficients.weight_of_stored_gradient())),
        nesterov(coefficients.nesterov) {}

  SYMOPT_INLINE Lanes<Scalar> next(Lanes<Scalar> momentum, Lanes<Scalar> gradient) const {
    return without_subnormals(multiply_add(beta, momentum, gradient_weight * gradient));
  }
  /// The momentum that the rule is given, from the next one: that, or with Nesterov the one that another step
  /// with the same gradient would lead to.
  SYMOPT_INLINE Lanes<Scalar> nesterov_momentum(Lanes<Scalar> next_momentum, Lanes<Scalar> gradient) const {
    return nesterov_momentum(next_momentum, {gradient, nesterov});
  }
  /// The momentum that the rule is given, from a gradient that is given with Nesterov alone.
  SYMOPT_INLINE Lanes<Scalar> nesterov_momentum(Lanes<Scalar> next_momentum,
                                                OptionalLanes<Scalar> gradient) const {
    return gradient.is_given ? multiply_add(beta, next_momentum, gradient_weight * gradient.lanes)
                             : next_momentum;
  }
};

/// W - decay W - step_size * direction in lanes, from 1 - decay and -step_size; the latter may be another one
/// in each row.
template <class Scalar>
SYMOPT_INLINE Lanes<Scalar> moved(Lanes<Scalar> weights, Lanes<Scalar> keep, Lanes<Scalar> minus_step_size,
                                  Lanes<Scalar> direction) {
  return multiply_add(minus_step_size, direction, keep * weights);
}

}}}  // namespace symopt::kernel
