// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/abi.hpp>

namespace symopt { inline namespace SYMOPT_ABI {

/// The number that a norm divides a line by, from the norm and an eps that keeps it from zero.
///   norm_plus_eps        norm + eps: a short line shrinks
///   max_of_norm_and_eps  max(norm, eps), as torch.nn.functional.normalize has it: a line of eps or more has
///                        the norm 1 exactly, and a shorter one is divided by eps
enum class Divisor { norm_plus_eps, max_of_norm_and_eps };

}}  // namespace symopt
