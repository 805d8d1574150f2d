// SPDX-License-Identifier: Apache-2.0
#include "support/all_updates.hpp"
#include "support/update_suite.hpp"

#include <doctest/doctest.h>

namespace update_test { namespace {

using namespace symopt_test;

TEST_CASE("the update that a group derives is equivariant, horizontal and shift-invariant in double") {
  for (const DefaultUpdate& update : default_updates()) {
    CAPTURE(update.group.name);
    check_update(*update.group.in_wide, update.in_double);
    check_zero(update.in_double);
  }
}

TEST_CASE("the update that a group derives is equivariant, horizontal and shift-invariant in float") {
  for (const DefaultUpdate& update : default_updates()) {
    CAPTURE(update.group.name);
    check_update(*update.group.in_wide, update.in_float);
    check_zero(update.in_float);
  }
}

}}  // namespace update_test
