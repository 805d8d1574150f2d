// SPDX-License-Identifier: Apache-2.0
// The checks themselves: honest rules hold, what cannot fail does not pass, and what a report says is true.
// The rules that must be caught are in liar_test.cpp.
#include <symopt/check.hpp>
#include <symopt/symopt.hpp>

#include <doctest/doctest.h>

#include <symopt/check/doctest.hpp>

#include <string>

#include "support/group_list.hpp"

namespace check_test { namespace {

using namespace symopt;
using namespace symopt::check;
using symopt_test::RowScalings;

TEST_CASE("honest rules hold, with a margin") {
  const auto holds = [](const Report& report) {
    SYMOPT_CHECK(report);
    CHECK(report.worst <= 0.5);
    CHECK(report.ill_posed * 5 <= report.trials);  // a shift by one leaves nothing of a gradient of 1e-20
    CHECK(bool(report));
  };
  holds(check_equivariance<Embedding>(RowNorm{}));
  holds(check_equivariance<HiddenMatrix>(Spectral<>{}));
  holds(check_equivariance<HiddenMatrix>(Spectral<polar::Exact>{}));
  holds(check_equivariance<SwigluOutput>(Update<SwigluOutput>{}));
  holds(check_equivariance<LmHead>(Update<LmHead>{}));
  holds(check_equivariance<LmHead>(Update<LmHead, Then<RowNorm, Spectral<>>>{}));
  holds(check_equivariance<Product<SignedRowPermutation, SignedColumnPermutation>>(AdamW{}));
  holds(check_equivariance<Product<HeadRotations<Side::left, 2>, RightOrthogonal>>(
      HeadSpectral<Side::left, 2>{}));
  holds(check_equivariance<symopt_test::CyclicRows>(RowNorm{}));
  holds(check_horizontal<LmHead>(Update<LmHead>{}));
  holds(check_horizontal<LmHead>(Spectral<>{}));
  holds(check_shift_invariant<LmHead>(Update<LmHead>{}));
}

TEST_CASE("gradients move by the inverse: a rule that forgets it is caught under scalings") {
  SYMOPT_CHECK_VERDICT(Verdict::violated, check_equivariance<RowScalings>(Identity{}));
}

TEST_CASE("what cannot fail does not pass") {
  const auto zero = [](const auto& x) { return (0 * x).eval(); };
  SYMOPT_CHECK_VERDICT(Verdict::vacuous, check_equivariance<HiddenMatrix>(zero));
  SYMOPT_CHECK_VERDICT(Verdict::vacuous, check_horizontal<LmHead>(zero));
  SYMOPT_CHECK_VERDICT(Verdict::vacuous,
                       check_equivariance<SharedShift>(RowNorm{}));  // gradients do not move
  SYMOPT_CHECK_VERDICT(Verdict::vacuous, check_equivariance<Trivial>(RowNorm{}));
  SYMOPT_CHECK_VERDICT(Verdict::vacuous, check_group_laws<Trivial>());
  const auto constant = [](const auto& x) {
    auto ones = x.eval();
    ones.setOnes();
    return ones;
  };
  SYMOPT_CHECK_VERDICT(Verdict::vacuous, check_equivariance<RowPermutation>(constant));
}

TEST_CASE("a negative control holds when the rule is clearly violated, and not otherwise") {
  SYMOPT_CHECK(expect_violation<RightOrthogonal>(AdamW{}));
  SYMOPT_CHECK_VERDICT(Verdict::violated, expect_violation<RightOrthogonal>(RowNorm{}));
  const auto slightly = [](const Matrix<double>& x) -> Matrix<double> {
    return RowNorm{.eps = 0}(x) + 1e-4 * Sign{}(x);
  };
  SYMOPT_CHECK_VERDICT(Verdict::violated, check_equivariance<RightOrthogonal>(slightly));
  SYMOPT_CHECK_VERDICT(Verdict::inconclusive, expect_violation<RightOrthogonal>(slightly));
}

TEST_CASE("a counterexample is small and says what it is") {
  const Report report = check_equivariance<Embedding>(Sign{});
  INFO(to_string(report));
  REQUIRE(report.counterexample);
  CHECK(report.counterexample->element == "right rotation (0,1) by pi/4");
  CHECK(symopt::detail::shape_of(report.counterexample->input) == Shape{1, 2});
  CHECK(to_string(report).find("1x2, G = [[") != std::string::npos);

  // It is one: by hand, what the report says.
  const Matrix<double> x = report.counterexample->input;
  Matrix<double> q(2, 2);
  q << 1, -1, 1, 1;
  q *= std::sqrt(0.5);
  const Matrix<double> u = Sign{}(x), v = Sign{}(x * q.transpose());
  CHECK((v - u * q.transpose()).norm() / std::max(u.norm(), v.norm()) ==
        doctest::Approx(report.counterexample->error));
}

TEST_CASE("the ladder of precisions tells rounding from a wrong group") {
  const Report right = check_equivariance<HiddenMatrix>(Spectral<polar::Exact>{});
  CHECK(right.ladder_ratio > 1e6);
  const Report wrong = check_equivariance<HiddenMatrix>(RowNorm{});
  CHECK(wrong.verdict == Verdict::violated);
  CHECK(wrong.ladder_ratio == doctest::Approx(1).epsilon(0.05));
}

TEST_CASE("quantiles are of the well-posed trials") {
  const Report report = check_equivariance<LmHead>(Update<LmHead>{});
  CHECK(report.errors.size() + static_cast<std::size_t>(report.ill_posed) ==
        static_cast<std::size_t>(report.trials));
  CHECK(report.quantile(1) == report.worst);
  CHECK(report.quantile(0) == report.errors.front());
  CHECK(report.quantile(0.99) <= report.worst);
  CHECK(Report{}.quantile(0.5) == 0);
}

}}  // namespace check_test
