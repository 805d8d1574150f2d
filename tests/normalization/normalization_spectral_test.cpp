// SPDX-License-Identifier: Apache-2.0
#include "support/rule_suite.hpp"

#include <doctest/doctest.h>

namespace normalization_spectral_test { namespace {

using namespace symopt_test;

const std::vector<NamedRule> rules = spectral_rules();

TEST_CASE("spectral rules state the groups of the table") {
  check_claims(rules);
}
TEST_CASE("spectral rules are equivariant under all that they claim") {
  check_families(rules, true);
}
TEST_CASE("spectral rules break under every family that they do not claim") {
  check_families(rules, false);
}
TEST_CASE("spectral rules keep horizontal blocks where they say so, and only there") {
  check_horizontal_claims(rules);
}
TEST_CASE("a mirrored spectral rule is the rule of the transposed block") {
  check_mirrors(rules);
}

}}  // namespace normalization_spectral_test
