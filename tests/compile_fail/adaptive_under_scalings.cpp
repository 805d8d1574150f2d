// SPDX-License-Identifier: Apache-2.0
// expect: no second moments are equivariant under positive scalings of rows or columns
#include <symopt/symopt.hpp>

using namespace symopt;

/// Rows that may be multiplied by positive numbers, as far as rules ask.
struct RowScalings {
  static constexpr Families families = families_on(Side::left, {.positive_scalings = true});
};

#ifdef WRONG
Adaptive<RowScalings> rule;
#else
Adaptive<RowPermutation> rule;
#endif
