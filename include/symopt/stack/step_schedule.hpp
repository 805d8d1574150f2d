// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/error.hpp>
#include <symopt/finite.hpp>
#include <symopt/optimizer/step_input.hpp>

#include <optional>
#include <sstream>

namespace symopt { inline namespace SYMOPT_ABI { namespace detail {

/// The numbers of a schedule at one step, for all parameters of a stack. The options that they change for
/// that step stay as they are, and so does what is saved of them.
struct StepSchedule {
  double factor = 1;                 ///< on all learning rates
  double decay_factor = 1;           ///< on all weight decays
  std::optional<double> momentum{};  ///< of rules that keep none themselves; without it that of their options

  /// The coefficients of a step under these options, with that factor of the scale on the direction.
  kernel::StepCoefficients coefficients(const OptimizerOptions& options, double scale_factor) const {
    kernel::StepCoefficients own = step_coefficients(options, options.learning_rate * factor, scale_factor);
    own.decay *= decay_factor;
    if (!momentum) return own;
    own.beta = *momentum;
    if (options.momentum_convention == MomentumConvention::ema) own.gradient_weight = 1.0 - *momentum;
    return own;
  }

  /// Throws Error that names the parameter unless all that such a step multiplies by is in the range of
  /// Scalar.
  template <class Scalar>
  void require_in_range(const OptimizerOptions& options, double scale_factor) const {
    require_factors_in_range<Scalar>(options, factor, scale_factor, decay_factor);
  }
};

/// Throws Error that names the number unless all are in range.
[[gnu::cold]] inline void validate(const StepSchedule& schedule) {
  const auto require_factor = [](const char* what, double factor) {
    require(factor >= 0 && is_finite(factor), [&] {
      std::ostringstream message;
      message << what << " is " << factor << "; it must be finite and not negative";
      return message.str();
    });
  };
  require_factor("the schedule factor", schedule.factor);
  require_factor("the schedule's factor of the decay", schedule.decay_factor);
  const double momentum = schedule.momentum.value_or(0);
  require(momentum >= 0 && momentum < 1, [&] {
    std::ostringstream message;
    message << "the schedule's momentum is " << momentum << "; it must be at least 0 and less than 1";
    return message.str();
  });
}

}}}  // namespace symopt::detail
