// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "support/group_list.hpp"

#include <symopt/check/group_laws.hpp>

#include <doctest/doctest.h>

namespace symopt_test {

/// All laws of a group and of its actions, on shapes that its heads fill and on empty ones.
template <class Group, class Scalar>
void check_laws_of_group() {
  const auto expected = symopt::families_of<Group> == symopt::Families{} ? symopt::check::Verdict::vacuous
                                                                         : symopt::check::Verdict::holds;
  for (const auto& report : {symopt::check::check_group_laws<Group, Scalar>(),
                             symopt::check::check_action_laws<Group, Scalar>()}) {
    CAPTURE(report);
    CHECK(report.verdict == expected);
  }
}

}  // namespace symopt_test
