// SPDX-License-Identifier: Apache-2.0
#include "support/error.hpp"
#include "support/group_suite.hpp"
#include "support/inputs.hpp"

#include <doctest/doctest.h>

namespace group_product_test { namespace {

using namespace symopt_test;

TEST_CASE_TEMPLATE_DEFINE("every product obeys the laws of a group and of its three actions", T,
                          product_laws) {
  check_laws_of_group<typename T::group, typename T::scalar>();
}
using Products = join_t<NamedGroups, ProductGroups>;
TEST_CASE_TEMPLATE_APPLY(product_laws, in_both_scalars_t<Products>);

TEST_CASE("the parts of a product act like the factors one after the other") {
  constexpr Shape shape{6, 4};
  CAPTURE(default_seed);
  Random random(default_seed);
  const auto g = LmHead::random<double>(shape, random);
  const Matrix<double> weights = gaussian_block(shape, random);

  Matrix<double> expected = weights;
  RowPermutation::act_on_weights(g.parts[hana::size_c<0>], expected);
  RightOrthogonal::act_on_weights(g.parts[hana::size_c<1>], expected);
  expected.rowwise() += g.parts[hana::size_c<2>].offset.row(0);

  Matrix<double> actual = weights;
  LmHead::act_on_weights(g, actual);
  CHECK(relative_error(actual, expected) <= 1e-14);
}

}}  // namespace group_product_test
