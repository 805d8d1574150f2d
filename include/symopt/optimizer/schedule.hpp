// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/abi.hpp>
#include <symopt/error.hpp>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numbers>

namespace symopt { inline namespace SYMOPT_ABI {

// Schedules: values that give a number at a step, counted from 0. Those of learning rates give the factor on
// the base rate: dimensionless, in [0, 1], and 0 from total_steps on. Multiply by hand, or give the factor to
// set_schedule_factor; the numbers of a Ramp to set_schedule_momentum or set_schedule_decay of a stack.

/// The base rate throughout.
struct ConstantSchedule {
  /// 1 at every step.
  constexpr double operator()(std::int64_t) const { return 1.0; }
};

/// A linear rise over warmup_steps, then half a cosine down to 0 at total_steps. The seed paper's
/// schedule for AdamW roles. Errors: std::invalid_argument unless 0 <= warmup_steps < total_steps.
struct WarmupCosine {
  std::int64_t warmup_steps = 100;  ///< steps until the base rate is reached
  std::int64_t total_steps = 1000;  ///< the step from which on the factor is 0

  /// The factor at a step, counted from 0.
  double operator()(std::int64_t step) const {
    if (warmup_steps < 0 || total_steps <= warmup_steps)
      throw Error("WarmupCosine needs 0 <= warmup_steps < total_steps");
    if (step < warmup_steps) return static_cast<double>(step + 1) / static_cast<double>(warmup_steps);
    const double progress = static_cast<double>(std::min(step, total_steps) - warmup_steps) /
                            static_cast<double>(total_steps - warmup_steps);
    return 0.5 * (1.0 + std::cos(std::numbers::pi * progress));
  }
};

/// The base rate, then a line down to 0 over the last decay_share of total_steps. The seed paper's
/// schedule for all derived rules. Errors: std::invalid_argument unless total_steps > 0 and
/// 0 < decay_share <= 1.
struct ConstantThenLinear {
  std::int64_t total_steps = 1000;  ///< the step from which on the factor is 0
  double decay_share = 0.4;         ///< of total_steps, at the end

  /// The factor at a step, counted from 0.
  double operator()(std::int64_t step) const {
    if (total_steps <= 0 || !(decay_share > 0.0 && decay_share <= 1.0))
      throw Error("ConstantThenLinear needs total_steps > 0 and 0 < decay_share <= 1");
    const double left = static_cast<double>(total_steps - std::min(step, total_steps));
    return std::min(1.0, left / (decay_share * static_cast<double>(total_steps)));
  }
};

/// A line from one number to another over `steps` steps, and that one from then on: the momentum of Muon's
/// first steps by default, or a decay that grows or shrinks. Errors: std::invalid_argument unless steps > 0.
struct Ramp {
  double first = 0.85;       ///< at step 0
  double last = 0.95;        ///< from `steps` on
  std::int64_t steps = 300;  ///< from the one to the other

  /// The number at a step, counted from 0.
  double operator()(std::int64_t step) const {
    if (steps <= 0) throw Error("Ramp needs steps > 0");
    if (step >= steps) return last;
    return first + (last - first) * static_cast<double>(step) / static_cast<double>(steps);
  }
};

}}  // namespace symopt
