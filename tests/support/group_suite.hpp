// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "support/all_groups.hpp"

#include <symopt/check/laws/group_laws.hpp>

#include <doctest/doctest.h>

#include <symopt/check/doctest.hpp>

namespace symopt_test {

/// All laws of a group and of its actions in each scalar, on shapes that its heads fill and on empty ones.
inline void check_laws_of_group(const NamedGroup& named) {
  using namespace symopt::check;
  CAPTURE(named.name);
  for (const AnyGroup* group : {named.in_float.get(), named.in_double.get(), named.in_wide.get()}) {
    const Verdict expected = group->families() == symopt::Families{} ? Verdict::vacuous : Verdict::holds;
    SYMOPT_CHECK_VERDICT(expected, check_group_laws(*group));
    SYMOPT_CHECK_VERDICT(expected, check_action_laws(*group));
  }
}

}  // namespace symopt_test
