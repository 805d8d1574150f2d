// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/abi.hpp>

namespace symopt { inline namespace SYMOPT_ABI { namespace detail {

/// The side of a pair that a parameter is.
enum class PairSide { a, b };

constexpr const char* to_string(PairSide side) {
  return side == PairSide::a ? "A" : "B";
}

}}}  // namespace symopt::detail
