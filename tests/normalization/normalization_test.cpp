// SPDX-License-Identifier: Apache-2.0
// Every shipped rule and the groups that it claims.
#include "support/rule_suite.hpp"

#include <doctest/doctest.h>

namespace normalization_test { namespace {

using namespace symopt_test;

TEST_CASE("elementary rules state the groups of the table") {
  check_claims(elementary_rules());
}
TEST_CASE("elementary rules are equivariant under all that they claim") {
  check_families(elementary_rules(), true);
}
TEST_CASE("elementary rules break under every family that they do not claim") {
  check_families(elementary_rules(), false);
}
TEST_CASE("elementary rules keep horizontal blocks where they say so, and only there") {
  check_horizontal_claims(elementary_rules());
}
TEST_CASE("a mirrored elementary rule is the rule of the transposed block") {
  check_mirrors(elementary_rules());
}

TEST_CASE("spectral rules state the groups of the table") {
  check_claims(spectral_rules());
}
TEST_CASE("spectral rules are equivariant under all that they claim") {
  check_families(spectral_rules(), true);
}
TEST_CASE("spectral rules break under every family that they do not claim") {
  check_families(spectral_rules(), false);
}
TEST_CASE("spectral rules keep horizontal blocks where they say so, and only there") {
  check_horizontal_claims(spectral_rules());
}
TEST_CASE("a mirrored spectral rule is the rule of the transposed block") {
  check_mirrors(spectral_rules());
}

TEST_CASE("composed rules state the groups of the table") {
  check_claims(composed_rules());
}
TEST_CASE("composed rules are equivariant under all that they claim") {
  check_families(composed_rules(), true);
}
TEST_CASE("composed rules break under every family that they do not claim") {
  check_families(composed_rules(), false);
}
TEST_CASE("composed rules keep horizontal blocks where they say so, and only there") {
  check_horizontal_claims(composed_rules());
}
TEST_CASE("a mirrored composed rule is the rule of the transposed block") {
  check_mirrors(composed_rules());
}

}}  // namespace normalization_test
