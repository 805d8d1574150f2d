// SPDX-License-Identifier: Apache-2.0
// The average over a frame makes any rule equivariant, says when it does not, and changes no rule that is.
#include "support/frame_rules.hpp"

#include <symopt/check/laws/equivariance.hpp>
#include <symopt/check/symmetry_error.hpp>

#include <doctest/doctest.h>

#include <symopt/check/doctest.hpp>

#include <sstream>

namespace frame_average_test { namespace {

using namespace symopt;
using namespace symopt_test;

// Concepts and claims.
static_assert(StatelessRule<FrameAveraged<Embedding, Sign>, float> &&
              StatelessRule<FrameAveraged<Embedding, Crooked>, double> &&
              !StatefulRule<FrameAveraged<Embedding, Sign>, float>);
static_assert(StatefulRule<FrameAveraged<Embedding, AdamW>, float> &&
              StatefulRule<FrameAveraged<HiddenMatrix, AdamW>, double> &&
              !StatelessRule<FrameAveraged<Embedding, AdamW>, float>);
using OnlyDouble = Matrix<double> (*)(const Matrix<double>&);
static_assert(StatelessRule<FrameAveraged<RightOrthogonal, OnlyDouble>, double> &&
              !StatelessRule<FrameAveraged<RightOrthogonal, OnlyDouble>, float>);
static_assert(!Admissible<Sign, Embedding> && Admissible<FrameAveraged<Embedding, Sign>, Embedding>);
static_assert(
    Admissible<FrameAveraged<RightOrthogonal, AdamW>, Product<SignedRowPermutation, RightOrthogonal>>);
static_assert(Admissible<FrameAveraged<HiddenMatrix, Crooked>, HiddenMatrix>);
static_assert(Admissible<FrameAveraged<RowPermutation, Crooked>, RowPermutation>);
static_assert(!Admissible<FrameAveraged<RowPermutation, Sign>, RightOrthogonal>);
static_assert(Admissible<FrameAveraged<LmHead, Sign>, LmHead> &&
              !Admissible<FrameAveraged<LmHead, Sign>, SignedRowPermutation>);
static_assert(
    !symopt::detail::StatesLargestGroup<FrameAveraged<Embedding, Crooked>>);  // sampled beyond rank 8
static_assert(Normalization<FrameAveraged<Embedding, Sign>>);

/// How far the rule is from equivariance on that block.
template <class Group>
double violation(const auto& rule, const Matrix<double>& input) {
  return check::symmetry_error<Group>(rule, input).worst;
}

template <class Group, class Rule>
void check_average(const Rule& rule) {
  CAPTURE(type_name<Rule>());
  const auto averaged = check::any_rule(frame_average<Group>(rule));
  const check::CheckOptions options{
      .trials = 24, .shapes = {{1, 1}, {2, 2}, {1, 5}, {5, 1}, {3, 2}, {6, 4}, {4, 6}, {5, 5}}};
  const check::Report report = check::check_equivariance<Group>(averaged, options);
  SYMOPT_CHECK(report);
  CHECK(report.ill_posed * 5 <= report.trials);
}

TEST_CASE("every rule becomes equivariant, and few inputs are left to rounding") {
  check_average<HiddenMatrix>(Crooked{});
  check_average<HiddenMatrix>(Sign{});
  check_average<RowPermutation>(Crooked{});
  check_average<ColumnPermutation>(Crooked{});
  check_average<Embedding>(MaxAbs{});
  check_average<Embedding>(Sign{});
  check_average<RightOrthogonal>(Crooked{});
  check_average<SwigluOutput>(Sign{});
  check_average<LmHead>(MaxAbs{});
}

TEST_CASE("permutations and rotations together, for a rule that has neither") {
  check_average<Embedding>(Crooked{});
}

TEST_CASE("in float the violation is that of float") {
  const auto holds_in_float = []<class Group>(std::type_identity<Group>, const auto& rule) {
    const auto averaged = check::in_float_only(check::any_rule(frame_average<Group>(rule)));
    SYMOPT_CHECK(check::check_equivariance<Group>(
        averaged,
        {.trials = 8, .shapes = {{6, 4}, {4, 6}}, .inputs = {"gaussian", "condition-3", "integers"}}));
  };
  holds_in_float(std::type_identity<HiddenMatrix>{}, Crooked{});
  holds_in_float(std::type_identity<RowPermutation>{}, Crooked{});
  holds_in_float(std::type_identity<RightOrthogonal>{}, MaxAbs{});
  holds_in_float(std::type_identity<RightOrthogonal>{}, Crooked{});
}

TEST_CASE("the rules alone violate what their averages keep") {
  SYMOPT_CHECK(check::expect_violation<RightOrthogonal>(Sign{}));
  SYMOPT_CHECK(check::expect_violation<RightOrthogonal>(MaxAbs{}));
  SYMOPT_CHECK(check::expect_violation<RowPermutation>(Crooked{}));
  SYMOPT_CHECK(check::expect_violation<HiddenMatrix>(Crooked{}));
}

TEST_CASE("the checker finds frame-averaged AdamW equivariant where AdamW is not") {
  using check::Verdict;
  SYMOPT_CHECK_VERDICT(Verdict::violated, check::check_equivariance<Embedding>(AdamW{}));
  SYMOPT_CHECK(check::check_equivariance<Embedding>(frame_average<Embedding>(AdamW{})));
  SYMOPT_CHECK_VERDICT(Verdict::violated, check::check_equivariance<HiddenMatrix>(AdamW{}));
  SYMOPT_CHECK(check::check_equivariance<HiddenMatrix>(frame_average<HiddenMatrix>(AdamW{})));
}

TEST_CASE("the checker calls an average over sampled signs inconclusive, not violated") {
  const check::Report report = check::check_equivariance<RightOrthogonal>(
      frame_average<RightOrthogonal>(Tangled{}),
      {.trials = 4, .shapes = {{12, 10}}, .inputs = {"gaussian", "condition-3"}});
  SYMOPT_CHECK_VERDICT(check::Verdict::inconclusive, report);
  CHECK(report.reason.find("sampled") != std::string::npos);
}

TEST_CASE("a frame without its signs is caught, for a rule that does not commute with signs") {
  CAPTURE(default_seed);
  Random random(default_seed);
  const auto without_signs = [](const Matrix<double>& block) -> Matrix<double> {
    const Matrix<double> axes = svd_of(block).right;
    return Crooked{}(block * axes) * axes.transpose();
  };
  const auto without_signs_odd = [](const Matrix<double>& block) -> Matrix<double> {
    const Matrix<double> axes = svd_of(block).right;
    return signs_of(block * axes) * axes.transpose();
  };
  const Matrix<double> input = gaussian_block({6, 4}, random);
  CHECK(violation<RightOrthogonal>(without_signs, input) > 0.05);
  CHECK(violation<RightOrthogonal>(without_signs_odd, input) <= 1e-12);
}

TEST_CASE("the average is the one of the definition") {
  CAPTURE(default_seed);
  Random random(default_seed);
  const Matrix<double> input = gaussian_block({5, 3}, random);
  const SingularValues svd = svd_of(input);
  // All eight frames, by hand.
  Matrix<double> expected = Matrix<double>::Zero(5, 3);
  for (int choice = 0; choice < 8; ++choice) {
    Matrix<double> axes = svd.right;
    for (int k = 0; k < 3; ++k)
      if ((choice >> k) % 2 == 1) axes.col(k) *= -1;
    expected += Crooked{}(input * axes) * axes.transpose() / 8;
  }
  CHECK(relative_error(frame_average<RightOrthogonal>(Crooked{})(input), expected) <= 1e-12);
  CHECK(frame_average<RightOrthogonal>(Crooked{}).report(input).frames == 8);
  CHECK(frame_average<RightOrthogonal>(MaxAbs{}).report(input).frames == 1);

  // Both sides: all joint signs of U S V^T.
  expected.setZero();
  for (int choice = 0; choice < 8; ++choice) {
    Matrix<double> left = svd_of(input).left, right = svd.right, middle(5, 3);
    middle.setZero();
    middle.diagonal() = svd.values;
    for (int k = 0; k < 3; ++k)
      if ((choice >> k) % 2 == 1) {
        left.col(k) *= -1;
        right.col(k) *= -1;
      }
    expected += left * Crooked{}(middle).topRows(3) * right.transpose() / 8;
  }
  CHECK(relative_error(frame_average<HiddenMatrix>(Crooked{})(input), expected) <= 1e-12);
}

TEST_CASE("a rule that is equivariant already is left as it is") {
  CAPTURE(default_seed);
  Random random(default_seed);
  for (const Shape shape : {Shape{6, 4}, Shape{4, 6}, Shape{1, 5}, Shape{5, 1}})
    for (const Input& input : well_conditioned_inputs(shape, random)) {
      CAPTURE(to_string(shape));
      const auto same = [&](const auto& averaged, const auto& rule) {
        CHECK(relative_error(averaged(input.value), rule(input.value)) <= 1e-12);
      };
      same(frame_average<Embedding>(Silent<RowNorm>{}), RowNorm{});
      same(frame_average<HiddenMatrix>(Silent<FrobeniusNorm>{}), FrobeniusNorm{});
      same(frame_average<LmHead>(Silent<RowNorm>{}), Update<LmHead, RowNorm>{});
      same(frame_average<HiddenMatrix>(Silent<Spectral<polar::Exact>>{}), Spectral<polar::Exact>{});
      CHECK(same_bits(frame_average<Embedding>(RowNorm{})(input.value), RowNorm{}(input.value)));
    }
  // Between rotations of both sides the sign becomes the polar factor.
  const Matrix<double> input = gaussian_block({6, 4}, random);
  CHECK(relative_error(frame_average<HiddenMatrix>(Sign{})(input), polar_by_svd(input)) <= 1e-12);
}

TEST_CASE("zero stays zero under rotations, an empty block stays empty, NaN shows") {
  const Matrix<double> zero = Matrix<double>::Zero(4, 3);
  CHECK(frame_average<Embedding>(Crooked{})(zero) == zero);
  CHECK(frame_average<HiddenMatrix>(Crooked{})(zero) == zero);
  CHECK(frame_average<RightOrthogonal>(Sign{})(zero) == zero);
  CHECK(frame_average<Embedding>(Sign{})(Matrix<double>(0, 3)).rows() == 0);
  CHECK(frame_average<HiddenMatrix>(Sign{})(Matrix<double>(3, 0)).cols() == 0);
  Matrix<double> bad = zero;
  bad(1, 1) = std::nan("");
  CHECK(frame_average<Embedding>(Sign{})(bad).array().isNaN().all());
}

TEST_CASE("equal rows get equal directions, in the average of their places") {
  const Matrix<double> input{{2, 1}, {0, 0}, {2, 1}, {-1, 3}, {0, 0}};
  const auto averaged = frame_average<RowPermutation>(Crooked{});
  const Matrix<double> direction = averaged(input);
  CHECK(direction.row(0) == direction.row(2));
  CHECK(direction.row(1) == direction.row(4));
  const Matrix<double> sorted{{2, 1}, {2, 1}, {0, 0}, {0, 0}, {-1, 3}};
  const Matrix<double> placed = Crooked{}(sorted);
  CHECK(relative_error(direction.row(0), (placed.row(0) + placed.row(1)) / 2) <= 1e-15);
  CHECK(direction.row(3) == placed.row(4));
  CHECK(averaged.report(input).is_exact);
}

TEST_CASE("equal singular values are told apart by the other side, or reported") {
  CAPTURE(default_seed);
  Random random(default_seed);
  const auto averaged = frame_average<Embedding>(Sign{});
  const Matrix<double> repeated = block_with_spectrum({7, 4}, {2, 2, 2, 1}, random);
  CHECK(averaged.report(repeated).is_exact);
  CHECK(violation<Embedding>(averaged, repeated) <= 1e-10);

  // Rows of one length on top of it: nothing is left to tell the columns apart, and that is said.
  const Matrix<double> hadamard{{1, 1, 1, 1}, {1, -1, 1, -1}, {1, 1, -1, -1}, {1, -1, -1, 1}};
  const FrameReport report = averaged.report(hadamard);
  CHECK_FALSE(report.is_exact);
  CHECK(std::string(report.reason).find("equal singular values") == 0);
  CHECK(violation<Embedding>(averaged, hadamard) > 1e-3);

  // Both sides rotated: exact all the same, and so is a column norm under rotations of the columns.
  CHECK(violation<HiddenMatrix>(frame_average<HiddenMatrix>(Crooked{}), hadamard) <= 1e-13);
  CHECK(frame_average<RightOrthogonal>(ColumnNorm{}).report(hadamard).is_exact);
  CHECK(violation<RightOrthogonal>(frame_average<RightOrthogonal>(ColumnNorm{}), hadamard) <= 1e-13);
}

TEST_CASE("beyond eight singular values the signs are sampled, and that is said") {
  CAPTURE(default_seed);
  Random random(default_seed);
  const auto averaged = frame_average<RightOrthogonal>(Tangled{});
  const Matrix<double> eight = gaussian_block({8, 10}, random), ten = gaussian_block({12, 10}, random);
  CHECK(averaged.report(eight).is_exact);
  CHECK(averaged.report(eight).frames == 256);
  CHECK(violation<RightOrthogonal>(averaged, eight) <= 1e-11);
  const FrameReport report = averaged.report(ten);
  CHECK_FALSE(report.is_exact);
  CHECK(report.frames == 256);
  const double left = violation<RightOrthogonal>(averaged, ten);
  CHECK(left > 1e-6);
  CHECK(left < 0.2 * violation<RightOrthogonal>(Tangled{}, ten));
  CHECK(frame_average<RightOrthogonal>(Sign{}).report(ten).is_exact);
  std::ostringstream text;
  text << report << '\n' << FrameReport{} << '\n' << FrameReport{8, true, ""};
  CHECK(text.str() ==
        "not exact, 256 frames: more than 8 singular values: the average over signs is sampled\n"
        "exact, 1 frame\nexact, 8 frames");
}

TEST_CASE("under a shift the direction is horizontal and does not see the mean row") {
  CAPTURE(default_seed);
  Random random(default_seed);
  const auto averaged = frame_average<LmHead>(MaxAbs{});
  const Matrix<double> input = gaussian_block({6, 3}, random);
  const Matrix<double> shifted = input.rowwise() + Eigen::RowVector3d(1, -2, 3);
  CHECK(averaged(input).colwise().sum().norm() <= 1e-14);
  CHECK(relative_error(averaged(shifted), averaged(input)) <= 1e-12);
  CHECK(relative_error(Update<LmHead, FrameAveraged<LmHead, MaxAbs>>{averaged}(input), averaged(input)) <=
        1e-14);
}

TEST_CASE("the tie of a stateless average changes the result") {
  CAPTURE(default_seed);
  Random random(default_seed);
  const Matrix<double> input = gaussian_block({5, 3}, random);
  CHECK(relative_error(frame_average<Embedding>(Sign{}, {.tie = 0.5})(input),
                       frame_average<Embedding>(Sign{})(input)) > 1e-3);
}

TEST_CASE("options out of range are refused by name") {
  const auto refuses = [](const auto& make, const char* name) {
    CHECK_THROWS_WITH_AS(make(), doctest::Contains(name), std::invalid_argument);
  };
  for (const double bad : {-0.1, 1.0, std::nan("")}) {
    refuses([&] { return frame_average<Embedding>(AdamW{}, {.memory = bad}); }, "FrameOptions::memory");
    refuses([&] { return frame_average<Embedding>(AdamW{}, {.tie = bad}); }, "FrameOptions::tie");
    refuses([&] { return frame_average<Embedding>(Sign{}, {.tie = bad}); }, "FrameOptions::tie");
  }
  refuses([] { return frame_average<Embedding>(Sign{}, {.memory = 0.5}); }, "rules with a state");
  refuses([] { return frame_average<Embedding>(AdamW{.eps = -1}); }, "AdamW::eps");
  refuses([] { return frame_average<Embedding>(RowNorm{.eps = -1}); }, "RowNorm::eps");
  const auto truncate = [](const Matrix<double>& block) -> Matrix<double> { return block.topRows(1); };
  refuses([&] { return frame_average<Embedding>(truncate)(Matrix<double>::Ones(3, 2)); }, "keep the shape");
}

}}  // namespace frame_average_test
