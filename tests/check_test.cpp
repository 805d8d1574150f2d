// SPDX-License-Identifier: Apache-2.0
// The checks themselves: honest rules hold, every liar is caught by the check that is named for it, and what a
// report says is true.
#include <symopt/check.hpp>
#include <symopt/symopt.hpp>

#include <doctest/doctest.h>

#include <Eigen/SVD>

#include <cstdlib>
#include <limits>
#include <sstream>
#include <string>

#include "support/group_list.hpp"

namespace {

using namespace symopt;
using namespace symopt::check;
using symopt_test::RowScalings;

std::string text_of(const Report& report) {
  std::ostringstream text;
  text << report;
  return text.str();
}

void expect(Verdict verdict, const Report& report) {
  INFO(text_of(report));
  CHECK(report.verdict == verdict);
}

const auto svd_completed = [](const Matrix<double>& x) -> Matrix<double> {
  const Eigen::JacobiSVD<Eigen::MatrixXd> svd(x, Eigen::ComputeThinU | Eigen::ComputeThinV);
  return svd.matrixU() * svd.matrixV().transpose();
};
const auto power_iteration = [](const auto& x) {
  using Vector = Eigen::Matrix<typename std::remove_cvref_t<decltype(x)>::Scalar, Eigen::Dynamic, 1>;
  Vector v = Vector::Unit(x.cols(), 0);
  for (int i = 0; i < 3; ++i) v = (x.transpose() * (x * v)).normalized();
  const auto norm = (x * v).norm();
  return (x / (norm > 0 ? norm : 1)).eval();
};
const auto sign_of_zero_is_one = [](const auto& x) {
  return x.unaryExpr([](auto entry) { return entry < 0 ? decltype(entry)(-1) : decltype(entry)(1); }).eval();
};
const auto scale_by_row_number = [](const auto& x) {
  using Vector = Eigen::Matrix<typename std::remove_cvref_t<decltype(x)>::Scalar, Eigen::Dynamic, 1>;
  return (Vector::LinSpaced(x.rows(), 1, 2).asDiagonal() * x).eval();
};
const auto longest_row = [](const auto& x) {
  auto kept = x.eval();
  Index longest = 0;
  x.rowwise().squaredNorm().maxCoeff(&longest);
  kept.setZero();
  kept.row(longest) = x.row(longest);
  return kept;
};

TEST_CASE("honest rules hold, with a margin") {
  const auto holds = [](const Report& report) {
    expect(Verdict::holds, report);
    CHECK(report.worst <= 0.5);
    CHECK(report.ill_posed * 10 <= report.trials);
    CHECK(bool(report));
  };
  holds(check_equivariance<Embedding>(RowNorm{}));
  holds(check_equivariance<HiddenMatrix>(Spectral<>{}));
  holds(check_equivariance<HiddenMatrix>(Spectral<polar::Exact>{}));
  holds(check_equivariance<SwigluOutput>(Update<SwigluOutput>{}));
  holds(check_equivariance<LmHead>(Update<LmHead>{}));
  holds(check_equivariance<LmHead>(Update<LmHead, Then<RowNorm, Spectral<>>>{}));
  holds(check_equivariance<Product<SignedRowPermutation, SignedColumnPermutation>>(AdamW{}));
  holds(check_equivariance<Product<HeadRotations<Side::left, 2>, RightOrthogonal>>(HeadSpectral<Side::left, 2>{}));
  holds(check_equivariance<symopt_test::CyclicRows>(RowNorm{}));
  holds(check_horizontal<LmHead>(Update<LmHead>{}));
  holds(check_horizontal<LmHead>(Spectral<>{}));
  holds(check_shift_invariant<LmHead>(Update<LmHead>{}));
}

TEST_CASE("a rule that looks equivariant and is not is caught") {
  expect(Verdict::violated, check_equivariance<HiddenMatrix>(svd_completed));
  expect(Verdict::violated, check_equivariance<HiddenMatrix>(power_iteration));
  expect(Verdict::violated, check_equivariance<SignedRowPermutation>(sign_of_zero_is_one));
  expect(Verdict::violated, check_equivariance<RowPermutation>(scale_by_row_number));
  expect(Verdict::violated, check_equivariance<RowPermutation>(longest_row));
  expect(Verdict::violated, check_equivariance<Embedding>(AdamW{}));
  expect(Verdict::violated, check_equivariance<HiddenMatrix>([](const auto& x) {
           return (x * std::numeric_limits<double>::quiet_NaN()).eval();
         }));
  // The cotangent: under scalings a gradient moves by the inverse.
  expect(Verdict::violated, check_equivariance<RowScalings>(Identity{}));
}

TEST_CASE("a row norm without its last, its first or the right centring is caught by H or I") {
  const HorizontalProjection<Side::left> project;
  const HorizontalProjection<Side::right> wrong_axis;
  const RowNorm normalize;
  const auto both = [=](const auto& x) { return project(normalize(project(x))); };
  expect(Verdict::holds, check_horizontal<LmHead>(both));
  expect(Verdict::holds, check_shift_invariant<LmHead>(both));
  const auto without_last = [=](const auto& x) { return normalize(project(x)); };
  expect(Verdict::violated, check_horizontal<LmHead>(without_last));
  const auto without_first = [=](const auto& x) { return project(normalize(x)); };
  expect(Verdict::violated, check_shift_invariant<LmHead>(without_first));
  const auto wrong = [=](const auto& x) { return wrong_axis(normalize(wrong_axis(x))); };
  expect(Verdict::violated, check_horizontal<LmHead>(wrong));
  expect(Verdict::violated, check_shift_invariant<LmHead>(wrong));
}

TEST_CASE("what cannot fail does not pass") {
  const auto zero = [](const auto& x) { return (0 * x).eval(); };
  expect(Verdict::vacuous, check_equivariance<HiddenMatrix>(zero));
  expect(Verdict::vacuous, check_horizontal<LmHead>(zero));
  expect(Verdict::vacuous, check_equivariance<SharedShift>(RowNorm{}));  // gradients do not move
  expect(Verdict::vacuous, check_equivariance<Trivial>(RowNorm{}));
  expect(Verdict::vacuous, check_group_laws<Trivial>());
  const auto constant = [](const auto& x) {
    auto ones = x.eval();
    ones.setOnes();
    return ones;
  };
  expect(Verdict::vacuous, check_equivariance<RowPermutation>(constant));
}

TEST_CASE("a negative control holds when the rule is clearly violated, and not otherwise") {
  expect(Verdict::holds, expect_violation<RightOrthogonal>(AdamW{}));
  expect(Verdict::violated, expect_violation<RightOrthogonal>(RowNorm{}));
  const auto slightly = [](const Matrix<double>& x) -> Matrix<double> {
    return RowNorm{}(x) + 1e-4 * Sign{}(x);
  };
  expect(Verdict::violated, check_equivariance<RightOrthogonal>(slightly));
  expect(Verdict::inconclusive, expect_violation<RightOrthogonal>(slightly));
}

TEST_CASE("a counterexample is small and says what it is") {
  const Report report = check_equivariance<Embedding>(Sign{});
  INFO(text_of(report));
  REQUIRE(report.counterexample);
  CHECK(report.counterexample->element == "right rotation (0,1) by pi/4");
  CHECK(shape_of(report.counterexample->input) == Shape{1, 2});
  CHECK(text_of(report).find("1x2, G = [[") != std::string::npos);

  // It is one: by hand, what the report says.
  const Matrix<double> x = report.counterexample->input;
  Matrix<double> q(2, 2);
  q << 1, -1, 1, 1;
  q *= std::sqrt(0.5);
  const Matrix<double> u = Sign{}(x), v = Sign{}(x * q.transpose());
  CHECK((v - u * q.transpose()).norm() / std::max(u.norm(), v.norm()) ==
        doctest::Approx(report.counterexample->error));
}

TEST_CASE("the same seed gives the same report, another seed other trials") {
  const Report first = check_equivariance<HiddenMatrix>(Spectral<>{}, {.seed = 7});
  const Report second = check_equivariance<HiddenMatrix>(Spectral<>{}, {.seed = 7});
  const Report other = check_equivariance<HiddenMatrix>(Spectral<>{}, {.seed = 8});
  CHECK(first.errors == second.errors);
  CHECK(first.errors != other.errors);
  CHECK(first.reproduce.find("seed=7") != std::string::npos);
  const Report more = check_equivariance<HiddenMatrix>(Spectral<>{}, {.seed = 7, .trials = 128});
  CHECK(more.trials == first.trials + 64);
  const Report one_shape = check_equivariance<HiddenMatrix>(Spectral<>{}, {.shapes = {{5, 3}}});
  CHECK(one_shape.trials < first.trials);
}

TEST_CASE("the line of a failure repeats that trial alone") {
  const Report report = check_equivariance<RowPermutation>(longest_row);
  REQUIRE(report.verdict == Verdict::violated);
  const std::string prefix = "SYMOPT_REPRODUCE=\"";
  REQUIRE(report.reproduce.starts_with(prefix));
  const std::string value = report.reproduce.substr(prefix.size(), report.reproduce.size() - prefix.size() - 1);
  ::setenv("SYMOPT_REPRODUCE", value.c_str(), 1);
  const Report again = check_equivariance<RowPermutation>(longest_row);
  const Report unrelated = check_equivariance<Embedding>(RowNorm{});
  ::unsetenv("SYMOPT_REPRODUCE");
  CHECK(again.verdict == Verdict::violated);
  CHECK(again.trials == 1);
  CHECK(again.counterexample->error == report.counterexample->error);
  CHECK(unrelated.trials > 1);
}

TEST_CASE("the ladder of precisions tells rounding from a wrong group") {
  const Report right = check_equivariance<HiddenMatrix>(Spectral<polar::Exact>{});
  CHECK(right.ladder_ratio > 1e6);
  const Report wrong = check_equivariance<HiddenMatrix>(RowNorm{});
  CHECK(wrong.verdict == Verdict::violated);
  CHECK(wrong.ladder_ratio == doctest::Approx(1).epsilon(0.05));
}

TEST_CASE("a rule for float alone is checked in float, and the report says so") {
  const Report report = check_equivariance<Embedding>(
      [](const Matrix<float>& x) -> Matrix<float> { return RowNorm{}(x); });
  expect(Verdict::holds, report);
  CHECK(report.precision == "float");
  CHECK(check_equivariance<Embedding>(RowNorm{}).precision == "double");
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

TEST_CASE_TEMPLATE("the laws of groups hold for every shipped group", Group, LeftOrthogonal, RightOrthogonal,
                   RowPermutation, ColumnPermutation, SignedRowPermutation, SignedColumnPermutation, SharedShift,
                   ColumnShift, HeadRotations<Side::left, 2>, HeadRotations<Side::right, 3>, HiddenMatrix,
                   Embedding, LmHead, SwigluOutput, symopt_test::CyclicRows, RowScalings) {
  expect(Verdict::holds, check_group_laws<Group>());
  expect(Verdict::holds, check_action_laws<Group>());
}

/// Permutations whose inverse is the permutation itself: right for swaps, wrong for cycles.
struct WrongInverse : RowPermutation {
  template <class Scalar>
  static Element<Scalar> inverse(const Element<Scalar>& g) {
    return g;
  }
};
/// Scalings under which gradients move as weights do.
struct WrongCotangent : RowScalings {
  template <class Scalar>
  static void act_on_gradient(const Element<Scalar>& g, std::type_identity_t<MatrixRef<Scalar>> block) {
    act_on_update(g, block);
  }
};

TEST_CASE("groups that break a law are caught, and the report names the law") {
  const Report inverse = check_group_laws<WrongInverse>();
  expect(Verdict::violated, inverse);
  CHECK(inverse.reason.find("= 1: not so for") != std::string::npos);
  const Report cotangent = check_action_laws<WrongCotangent>();
  expect(Verdict::violated, cotangent);
  CHECK(cotangent.reason.find("<g_* G, Dg U> = <G, U>") != std::string::npos);
}

}  // namespace
