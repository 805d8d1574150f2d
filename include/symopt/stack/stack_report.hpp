// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/abi.hpp>

#include <cstdint>
#include <string>
#include <vector>

namespace symopt { inline namespace SYMOPT_ABI {

/// The report of a step of a stack.
struct StackReport {
  bool applied = false;        ///< false when it was skipped for a non-finite gradient, or found none
  std::int64_t step = 0;       ///< steps applied so far
  double schedule_factor = 1;  ///< what multiplied all rates
  std::vector<std::string> non_finite{};  ///< the parameters whose gradients were not finite
};

}}  // namespace symopt
