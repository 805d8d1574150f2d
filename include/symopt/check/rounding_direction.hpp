// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/abi.hpp>

#include <cfenv>
#include <initializer_list>

namespace symopt { inline namespace SYMOPT_ABI { namespace check::detail {

/// The directions in which this machine can round, other than to the nearest number.
inline constexpr std::initializer_list<int> rounding_directions{
#ifdef FE_UPWARD
    FE_UPWARD,
#endif
#ifdef FE_DOWNWARD
    FE_DOWNWARD,
#endif
#ifdef FE_TOWARDZERO
    FE_TOWARDZERO,
#endif
};

/// Lets this thread round in a direction until the end of the scope. A machine that does not know the
/// direction rounds as before.
class RoundingDirection {
 public:
  explicit RoundingDirection(int direction) : before_(std::fegetround()) { std::fesetround(direction); }
  ~RoundingDirection() { std::fesetround(before_); }
  RoundingDirection(const RoundingDirection&) = delete;
  RoundingDirection& operator=(const RoundingDirection&) = delete;

 private:
  int before_;
};

}}}  // namespace symopt::check::detail
