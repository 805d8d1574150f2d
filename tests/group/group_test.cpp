// SPDX-License-Identifier: Apache-2.0
#include "support/error.hpp"
#include "support/group_list.hpp"
#include "support/group_suite.hpp"
#include "support/inputs.hpp"

#include <doctest/doctest.h>

namespace group_test { namespace {

using namespace symopt_test;

bool is_product(const NamedGroup& group) {
  return group.list == GroupList::named || group.list == GroupList::product;
}

TEST_CASE("every simple or user's group obeys the laws of a group and of its three actions") {
  for (const NamedGroup& group : groups())
    if (!is_product(group)) check_laws_of_group(group);
}

TEST_CASE("every product obeys the laws of a group and of its three actions") {
  for (const NamedGroup& group : groups())
    if (is_product(group)) check_laws_of_group(group);
}

TEST_CASE("the parts of a product act like the factors one after the other") {
  constexpr Shape shape{6, 4};
  CAPTURE(default_seed);
  Random random(default_seed);
  const auto g = LmHead::random<double>(shape, random);
  const Matrix<double> weights = gaussian_block(shape, random);

  Matrix<double> expected = weights;
  RowPermutation::act_on_weights(g.parts[boost::hana::size_c<0>], expected);
  RightOrthogonal::act_on_weights(g.parts[boost::hana::size_c<1>], expected);
  expected.rowwise() += g.parts[boost::hana::size_c<2>].offset.row(0);

  Matrix<double> actual = weights;
  LmHead::act_on_weights(g, actual);
  CHECK(relative_error(actual, expected) <= 1e-14);
}

// Every law has a liar that breaks it.

struct WrongIdentity : LeftOrthogonal {
  template <class Scalar>
  static Element<Scalar> identity(Shape shape) {
    return {symopt::detail::reflection<Scalar>(shape.rows, 0)};
  }
};

struct WrongOrder : RowPermutation {
  template <class Scalar>
  static Element<Scalar> compose(const Element<Scalar>& g, const Element<Scalar>& h) {
    return RowPermutation::compose(h, g);
  }
};

struct NotAssociative : SharedShift {
  template <class Scalar>
  static Element<Scalar> compose(const Element<Scalar>& g, const Element<Scalar>& h) {
    return {g.offset + 2 * h.offset};
  }
};

struct WrongInverse : RightOrthogonal {
  template <class Scalar>
  static Element<Scalar> inverse(const Element<Scalar>& g) {
    return g;
  }
};

/// Moves gradients as if scalings were orthogonal.
struct WrongPairing : RowScalings {
  template <class Scalar>
  static void act_on_gradient(const Element<Scalar>& g, std::type_identity_t<MatrixRef<Scalar>> block) {
    act_on_weights(g, block);
  }
};

/// Translates updates like weights.
struct WrongTangent : SharedShift {
  template <class Scalar>
  static void act_on_update(const Element<Scalar>& g, std::type_identity_t<MatrixRef<Scalar>> block) {
    SharedShift::act_on_weights(g, block);
  }
};

struct NoMotion : LeftOrthogonal {
  template <class Scalar>
  static std::vector<Element<Scalar>> generators(Shape shape) {
    return {identity<Scalar>(shape)};
  }
};

struct NoGenerators : RowPermutation {
  template <class Scalar>
  static std::vector<Element<Scalar>> generators(Shape) {
    return {};
  }
};

struct NotFinite : SharedShift {
  template <class Scalar>
  static Element<Scalar> random(Shape shape, auto& engine) {
    auto element = SharedShift::random<Scalar>(shape, engine);
    element.offset(0, 0) = std::numeric_limits<Scalar>::quiet_NaN();
    return element;
  }
};

/// The report must name the law.
void expect_broken(const check::Report& report, const char* law) {
  SYMOPT_CHECK_VERDICT(check::Verdict::violated, report);
  CHECK(report.worst > 1e6);
  CHECK(report.reason.find(law) != std::string::npos);
}

TEST_CASE("every law of groups has a liar that breaks it") {
  const check::CheckOptions one_shape{.shapes = {{6, 5}}};
  expect_broken(check::check_action_laws<WrongIdentity>(one_shape), "act(1) = 1");
  expect_broken(check::check_action_laws<WrongOrder>(one_shape), "act(g h) = act(g) act(h)");
  expect_broken(check::check_group_laws<NotAssociative>(one_shape), "(g h) k = g (h k)");
  expect_broken(check::check_group_laws<WrongInverse>(one_shape), "= 1");
  expect_broken(check::check_action_laws<WrongPairing>(one_shape), "<g_* G, Dg U> = <G, U>");
  expect_broken(check::check_action_laws<WrongTangent>(one_shape), "g(W + U) - g W = Dg U");
  expect_broken(check::check_group_laws<NoMotion>(one_shape), "every generator moves something");
  expect_broken(check::check_group_laws<NoGenerators>(one_shape), "has generators");
  const check::Report not_finite = check::check_group_laws<NotFinite>(one_shape);
  CHECK(not_finite.worst == infinity);
}

TEST_CASE("an error that is not a number counts as infinite and stays") {
  Worst worst;
  worst.add(std::numeric_limits<double>::quiet_NaN());
  worst.add(0.5);
  CHECK(worst.value() == infinity);
  const Matrix<double> bad = Matrix<double>::Constant(2, 2, std::numeric_limits<double>::quiet_NaN());
  CHECK(relative_error(bad, bad) == infinity);
  CHECK(relative_error(Matrix<double>::Zero(2, 2), Matrix<double>::Zero(2, 3)) == infinity);
  CHECK(relative_error(Matrix<double>::Zero(2, 2), Matrix<double>::Zero(2, 2)) == 0);
}

TEST_CASE("heads that do not fill the block are refused by name") {
  CHECK_THROWS_WITH_AS((HeadRotations<Side::left, 4>::identity<float>({6, 8})), doctest::Contains("6x8"),
                       std::invalid_argument);
  CHECK_THROWS_AS((HeadRotations<Side::right, 4>::generators<double>({8, 6})), std::invalid_argument);
  Random random(default_seed);
  CHECK_THROWS_AS((HeadRotations<Side::right, 3>::random<double>({6, 4}, random)), std::invalid_argument);
}

}}  // namespace group_test
