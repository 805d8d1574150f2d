// SPDX-License-Identifier: Apache-2.0
#include "support/group_list.hpp"
#include "support/update_suite.hpp"

#include <doctest/doctest.h>

namespace update_test { namespace {

using namespace symopt_test;

TEST_CASE_TEMPLATE_DEFINE(
    "the update that a group derives is equivariant, horizontal and shift-invariant in double", G,
    default_updates) {
  const auto update = default_update<G, double>();
  CAPTURE(type_name<G>());
  check_update(symopt::check::ErasedGroup<G>(), update);
  check_zero(update);
}
TEST_CASE_TEMPLATE_APPLY(default_updates, UpdateGroups);

}}  // namespace update_test
