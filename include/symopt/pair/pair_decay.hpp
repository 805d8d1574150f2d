// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/error.hpp>
#include <symopt/optimizer/options.hpp>

#include <sstream>

namespace symopt { inline namespace SYMOPT_ABI { namespace detail {

/// Throws Error that names the parameter unless a pair can shrink by the square root of 1 less its decay, the
/// rate times the weight decay times the factors that a schedule has on both.
inline void require_pair_decay(const OptimizerOptions& options, double schedule_factors) {
  const double decay = options.learning_rate * options.weight_decay * schedule_factors;
  require(decay < 1, {options.parameter}, [&] {
    std::ostringstream message;
    message << "the learning rate times the weight decay is " << decay
            << ", and a pair shrinks by the square root of 1 less that; it must be less than 1";
    return message.str();
  });
}

}}}  // namespace symopt::detail
