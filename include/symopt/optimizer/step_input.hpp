// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/kernel/step.hpp>
#include <symopt/optimizer/options.hpp>

#include <limits>

namespace symopt { inline namespace SYMOPT_ABI { namespace detail {

/// The memory and the coefficients of one step of one block, in the shape of the block's rows that exist.
template <class Scalar>
struct StepInput {
  kernel::GradientView<Scalar> gradient;
  kernel::WeightsView<Scalar> weights;
  kernel::StepCoefficients coefficients{};
  kernel::Check check = kernel::Check::gradient;
  double largest_gradient = std::numeric_limits<double>::infinity();  ///< what no entry exceeds that passes

  /// The exponent of the entries that the step refuses, 2^exponent or more: those beyond the usual size,
  /// where a bound is known; else Inf and NaN.
  int gradient_exponent() const {
    constexpr int largest = std::numeric_limits<Scalar>::max_exponent;
    return largest_gradient < std::numeric_limits<double>::infinity() ? kernel::usual_exponent<Scalar>
                                                                      : largest;
  }
  StepInput transposed() const {
    return {gradient.transposed(), weights.transposed(), coefficients, check, largest_gradient};
  }
};

/// The coefficients of a step at that rate, the schedule's factor included, with that factor on the
/// direction.
inline kernel::StepCoefficients step_coefficients(const OptimizerOptions& options, double rate,
                                                  double scale_factor) {
  const bool is_average = options.momentum_convention == MomentumConvention::ema;
  return {.beta = options.momentum,
          .gradient_weight = is_average ? 1.0 - options.momentum : 1.0,
          .nesterov = options.nesterov,
          .decay = rate * options.weight_decay,
          .decay_is_horizontal = options.decay == Decay::horizontal,
          .step_size = rate * scale_factor};
}

/// The options that a step's scratch depends on, besides the shape.
inline kernel::ScratchOptions scratch_options(const OptimizerOptions& options) {
  return {.decay_is_horizontal = options.decay == Decay::horizontal};
}

}}}  // namespace symopt::detail
