// SPDX-License-Identifier: Apache-2.0
#include "support/user_groups.hpp"
#include "support/inputs.hpp"

#include <symopt/check/trajectory.hpp>
#include <symopt/symopt.hpp>

#include <doctest/doctest.h>

#include <functional>
#include <string>
#include <vector>

namespace adaptive_test { namespace {

using namespace symopt;
using namespace symopt_test;

// What each class derives.
template <class Group, class Moments>
constexpr bool derives = std::same_as<default_moments_t<Group>, Moments>;
static_assert(derives<Embedding, moments::Rows> && derives<TiedEmbedding, moments::Rows> &&
              derives<LmHead, moments::Rows> && derives<SwigluInput, moments::Rows> &&
              derives<Router, moments::Rows> && derives<SwigluOutput, moments::Columns>);
static_assert(derives<Trivial, moments::Entries> && derives<SharedShift, moments::Entries> &&
              derives<Product<RowPermutation, ColumnPermutation>, moments::Entries> &&
              derives<Product<SignedRowPermutation, SignedColumnPermutation>, moments::Entries>);
static_assert(derives<HiddenMatrix, moments::OneSided> && derives<LeftOrthogonal, moments::OneSided> &&
              derives<RightOrthogonal, moments::OneSided> &&
              derives<HeadRotations<Side::left, 2>, moments::OneSided> &&
              derives<Product<HeadRotations<Side::left, 3>, RightOrthogonal>, moments::OneSided>);
// One proposal, and a diagonal against heads, which are full, and heads of one, which are signs.
static_assert(derives<RowPermutation, moments::Rows> && derives<SignedColumnPermutation, moments::Columns> &&
              derives<Product<RowPermutation, HeadRotations<Side::right, 2>>, moments::Rows> &&
              derives<Product<HeadRotations<Side::left, 3>, ColumnPermutation>, moments::Columns> &&
              derives<HeadRotations<Side::left, 1>, moments::Rows> &&
              derives<Product<HeadRotations<Side::left, 1>, ColumnPermutation>, moments::Entries>);
// A user's group is what its bound is.
static_assert(derives<CyclicRows, moments::Rows> &&
              derives<Product<CyclicRows, RightOrthogonal, SharedShift>, moments::Rows>);

static_assert(StatefulRule<Adaptive<LmHead>, float> && StatefulRule<Adaptive<Trivial>, double>);
static_assert(Admissible<Adaptive<LmHead>, LmHead> && Admissible<Adaptive<Trivial>, Trivial>);
static_assert(Admissible<Adaptive<Embedding>, Product<SignedRowPermutation, RightOrthogonal>> &&
              !Admissible<Adaptive<LmHead>, Product<SignedRowPermutation, RightOrthogonal>> &&
              !Admissible<Adaptive<Embedding>, HiddenMatrix>);
static_assert(std::is_aggregate_v<Adaptive<LmHead>> &&
              std::same_as<typename Adaptive<LmHead>::group, LmHead>);

/// The formulas, with whole matrices in double.
struct Oracle {
  Shape numbers;  ///< of second moments: rows or one, columns or one
  bool centres_rows = false, centres_columns = false;
  double beta1 = 0.9, beta2 = 0.99, eps = 1e-8;
  Matrix<double> m{}, v{};
  int t = 0;

  Matrix<double> project(Matrix<double> x) const {
    if (centres_rows) x.rowwise() -= x.colwise().mean().eval();
    if (centres_columns) x.colwise() -= x.rowwise().mean().eval();
    return x;
  }
  Matrix<double> direction(const Matrix<double>& gradient) {
    const Matrix<double> g = project(gradient);
    const Index high = g.rows() / numbers.rows, wide = g.cols() / numbers.cols;
    if (t++ == 0) m = Matrix<double>::Zero(g.rows(), g.cols()), v.setZero(numbers.rows, numbers.cols);
    m = beta1 * m + (1 - beta1) * g;
    Matrix<double> u = m;
    for (Index i = 0; i < numbers.rows; ++i)
      for (Index j = 0; j < numbers.cols; ++j) {
        v(i, j) = beta2 * v(i, j) +
                  (1 - beta2) * g.block(i * high, j * wide, high, wide).squaredNorm() / double(high * wide);
        u.block(i * high, j * wide, high, wide) *=
            1 / (1 - std::pow(beta1, t)) / (std::sqrt(v(i, j) / (1 - std::pow(beta2, t))) + eps);
      }
    return project(u);
  }
};

template <class Rule>
Oracle oracle_of(Shape shape, const Rule& rule = {}) {
  using Moments = typename Rule::moments_type;
  Oracle oracle{.numbers = {1, 1},
                .centres_rows = Rule::projection::projects(Side::left),
                .centres_columns = Rule::projection::projects(Side::right),
                .beta1 = rule.beta1,
                .beta2 = rule.beta2,
                .eps = rule.eps};
  if (std::same_as<Moments, moments::Entries> || std::same_as<Moments, moments::Rows>)
    oracle.numbers.rows = shape.rows;
  if (std::same_as<Moments, moments::Entries> || std::same_as<Moments, moments::Columns>)
    oracle.numbers.cols = shape.cols;
  return oracle;
}

/// The error of some steps in weights of that storage order.
template <class Rule, class Scalar, int order>
double error_of(Shape shape, double scale, Rule rule = {}) {
  using Block = Eigen::Matrix<Scalar, Eigen::Dynamic, Eigen::Dynamic, order>;
  constexpr bool has_shift = !Rule::projection::is_identity;
  Random random(default_seed);
  Matrix<double> expected = gaussian_block(shape, random);
  Block weights = expected.cast<Scalar>();
  OptimizerOptions options{.learning_rate = 0.1, .weight_decay = 0.1};
  if (has_shift) options.decay = Decay::horizontal;
  Optimizer<Rule, Scalar> optimizer(shape.rows, shape.cols, options, rule);
  Oracle oracle = oracle_of(shape, rule);
  Worst worst;
  for (int step = 0; step < 5; ++step) {
    Matrix<double> gradient = scale * gaussian_block(shape, random);
    if (step > 1 && shape.rows > 1) gradient.row(1).setZero();
    gradient = gradient.cast<Scalar>().template cast<double>().eval();
    const Matrix<double> decayed = has_shift ? oracle.project(expected) : expected;
    expected -= 0.1 * 0.1 * decayed + 0.1 * oracle.direction(gradient);
    optimizer.step(weights, Block(gradient.cast<Scalar>()));
    worst.add(relative_error(as_double(weights), expected));
  }
  return worst.value();
}

template <class Rule>
void check_formulas() {
  CAPTURE(detail::rule_text(Rule{}));
  const auto check = [](Shape shape) {
    CAPTURE(to_string(shape));
    CHECK(error_of<Rule, double, Eigen::RowMajor>(shape, 1) <= 1e-13);
    CHECK(error_of<Rule, double, Eigen::ColMajor>(shape, 1) <= 1e-13);
    CHECK(error_of<Rule, float, Eigen::RowMajor>(shape, 1) <= 1e-5);
    CHECK(error_of<Rule, float, Eigen::ColMajor>(shape, 1) <= 1e-5);
  };
  for (const Shape shape : {Shape{7, 5}, Shape{1, 6}, Shape{6, 1}, Shape{1, 1}, Shape{33, 70}}) check(shape);
}

using OnRows = Product<RowPermutation, ColumnPermutation, SharedShift>;
using OnBoth = Product<RowPermutation, ColumnPermutation, SharedShift, ColumnShift>;
using MirroredHead = Product<LeftOrthogonal, ColumnPermutation, ColumnShift>;

TEST_CASE("the update of every class follows its formula in either storage order") {
  CAPTURE(default_seed);
  check_formulas<Adaptive<Trivial>>();
  check_formulas<Adaptive<Embedding>>();
  check_formulas<Adaptive<SwigluOutput>>();
  check_formulas<Adaptive<LmHead>>();
  check_formulas<Adaptive<MirroredHead>>();
}

TEST_CASE("and so do moments by name, and those of rarer groups") {
  CAPTURE(default_seed);
  check_formulas<Adaptive<HiddenMatrix, moments::Block>>();
  check_formulas<Adaptive<LmHead, moments::Block>>();
  check_formulas<Adaptive<OnRows>>();
  check_formulas<Adaptive<OnBoth, moments::Rows>>();
  check_formulas<Adaptive<Product<ColumnPermutation, SharedShift>>>();
}

}}  // namespace adaptive_test
