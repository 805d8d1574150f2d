// SPDX-License-Identifier: Apache-2.0
#include "support/inputs.hpp"
#include "support/user_groups.hpp"

#include <symopt/check/laws/trajectory.hpp>
#include <symopt/symopt.hpp>

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <type_traits>

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
  CAPTURE(symopt::detail::rule_text(Rule{}));
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
using OneRate = Adaptive<HiddenMatrix, moments::Block>;
using OneHeadRate = Adaptive<LmHead, moments::Block>;
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

/// Weights after some gradients.
template <class Rule, class Scalar = double>
Matrix<Scalar> trained(const Rule& rule, Shape shape = {6, 4}, double scale = 1) {
  Random random(default_seed);
  Matrix<Scalar> weights = gaussian_block(shape, random).cast<Scalar>();
  Optimizer<Rule, Scalar> optimizer(shape.rows, shape.cols, {.learning_rate = 0.1, .weight_decay = 0.1},
                                    rule);
  for (int step = 0; step < 20; ++step)
    optimizer.step(weights, Matrix<Scalar>((scale * gaussian_block(shape, random)).cast<Scalar>()));
  return weights;
}

TEST_CASE("where the group tells every entry apart, the numbers are AdamW's") {
  CAPTURE(default_seed);
  const AdamW adamw{.beta1 = 0.8, .beta2 = 0.95, .eps = 1e-3};
  const auto with_its_numbers = [&]<class Group>(std::type_identity<Group>) {
    return Adaptive<Group>{.beta1 = adamw.beta1, .beta2 = adamw.beta2, .eps = adamw.eps};
  };
  const auto check = [&](auto group) {
    const auto rule = with_its_numbers(group);
    using Rule = std::remove_const_t<decltype(rule)>;
    CHECK(relative_error(trained(rule), trained(adamw)) <= 1e-14);
    CHECK(relative_error(as_double(trained<Rule, float>(rule)), as_double(trained<AdamW, float>(adamw))) <=
          1e-6);
  };
  check(std::type_identity<Trivial>{});
  check(std::type_identity<Product<RowPermutation, ColumnPermutation>>{});
  check(std::type_identity<Product<SignedRowPermutation, SignedColumnPermutation>>{});
  // Entries of one row or column are a line of the others, too.
  CHECK(relative_error(trained(Adaptive<Embedding>{}, {9, 1}), trained(Adaptive<Trivial>{}, {9, 1})) <=
        1e-14);
  CHECK(relative_error(trained(Adaptive<SwigluOutput>{}, {1, 9}), trained(Adaptive<Trivial>{}, {1, 9})) <=
        1e-14);
  CHECK(relative_error(trained(Adaptive<Embedding>{}), trained(Adaptive<Trivial>{})) > 1e-2);
}

template <class Group, class Rule>
check::Verdict twins(const Rule& rule) {
  OptimizerOptions options{.learning_rate = 0.1, .weight_decay = 0.1};
  if (!Rule::projection::is_identity) options.decay = Decay::horizontal;
  const auto optimizer = [&](Shape shape) {
    return Optimizer<Rule, double>(shape.rows, shape.cols, options, rule);
  };
  return check::check_trajectory<Group>(optimizer, {.trials = 12}).verdict;
}

TEST_CASE("twins stay twins under the group, and part under a larger one") {
  using enum check::Verdict;
  using SignedRows = Product<SignedRowPermutation, RightOrthogonal>;
  CHECK(twins<SignedRows>(Adaptive<Embedding>{}) == holds);
  CHECK(twins<LeftOrthogonal>(Adaptive<Embedding>{}) == violated);
  CHECK(twins<LmHead>(Adaptive<LmHead>{}) == holds);
  CHECK(twins<SignedRows>(Adaptive<LmHead>{}) == violated);
  CHECK(twins<Product<LeftOrthogonal, SignedColumnPermutation>>(Adaptive<SwigluOutput>{}) == holds);
  CHECK(twins<RightOrthogonal>(Adaptive<SwigluOutput>{}) == violated);
  CHECK(twins<MirroredHead>(Adaptive<MirroredHead>{}) == holds);
  CHECK(twins<HiddenMatrix>(Adaptive<HiddenMatrix, moments::Block>{}) == holds);
  CHECK(twins<RowScalings>(Adaptive<HiddenMatrix, moments::Block>{}) == violated);
  CHECK(twins<OnBoth>(Adaptive<OnBoth>{}) == holds);
  CHECK(twins<RightOrthogonal>(Adaptive<OnBoth>{}) == violated);
  CHECK(twins<CyclicRows>(Adaptive<CyclicRows>{}) == holds);
}

TEST_CASE("a head never moves along its shift, and does not see one of the gradient") {
  CAPTURE(default_seed);
  Random random(default_seed);
  const Shape shape{6, 4};
  Matrix<double> weights = Matrix<double>::Zero(6, 4), shifted = weights;
  Optimizer<Adaptive<LmHead>, double> optimizer(6, 4), other(6, 4);
  for (int step = 0; step < 20; ++step) {
    const Matrix<double> gradient = gaussian_block(shape, random);
    const Matrix<double> common = Matrix<double>::Ones(6, 1) * gaussian_block({1, 4}, random);
    optimizer.step(weights, gradient);
    other.step(shifted, Matrix<double>(gradient + common));
  }
  CHECK(weights.colwise().mean().norm() <= 1e-16);
  CHECK(relative_error(shifted, weights) <= 1e-13);
  CHECK(weights.norm() > 1e-3);
}

TEST_CASE("a row that is not seen any more dies out like (beta1 / sqrt(beta2))^t") {
  CAPTURE(default_seed);
  Random random(default_seed);
  const Adaptive<Embedding> rule{.beta1 = 0.9, .beta2 = 0.99, .eps = 1e-30};
  Optimizer<Adaptive<Embedding>, double> optimizer(3, 8, {.learning_rate = 1}, rule);
  Matrix<double> weights = Matrix<double>::Zero(3, 8);
  Matrix<double> gradient = gaussian_block({3, 8}, random);
  double first = 0;
  for (int t = 1; t <= 400; ++t) {
    const Matrix<double> before = weights;
    optimizer.step(weights, gradient);
    const double length = (weights - before).row(1).norm();
    if (t == 1) first = length;
    const double correction = std::sqrt(1 - std::pow(0.99, t)) / (1 - std::pow(0.9, t));
    const double at_start = std::sqrt(1 - 0.99) / (1 - 0.9);
    const double expected = first * std::pow(0.9 / std::sqrt(0.99), t - 1) * correction / at_start;
    CHECK(std::abs(length - expected) <= 1e-9 * expected + 1e-15);
    gradient.row(1).setZero();
  }
  CHECK(first == doctest::Approx(std::sqrt(8.0)));
}

/// Tests whether steps from gradients of a size are those of gradients of size 1, where eps shrinks with
/// them.
template <class Rule, class Scalar>
double scale_error(double scale) {
  const Rule rule{.eps = 1e-8}, scaled{.eps = std::max(1e-8 * scale, 1e-300)};
  return relative_error(as_double(trained<Rule, Scalar>(scaled, {6, 40}, scale)),
                        as_double(trained<Rule, Scalar>(rule, {6, 40}, 1)));
}

TEST_CASE_TEMPLATE("huge and tiny gradients make the steps that others make", Rule, Adaptive<Trivial>,
                   Adaptive<Embedding>, Adaptive<SwigluOutput>, Adaptive<LmHead>, Adaptive<MirroredHead>,
                   OneRate, OneHeadRate) {
  CAPTURE(default_seed);
  for (const double scale : {0x1p-95, 0x1p-40, 0x1p40, 0x1p95, 0x1p120})
    CHECK(scale_error<Rule, float>(scale) <= 1e-5);
  for (const double scale : {0x1p-600, 0x1p600, 0x1p900}) CHECK(scale_error<Rule, double>(scale) <= 1e-12);
}

TEST_CASE("betas at their edges, and out of range") {
  const double nan = std::nan("");
  // Without memory a step is a sign, or a row over its root mean square.
  CHECK(relative_error(trained(Adaptive<Trivial>{.beta1 = 0, .beta2 = 0, .eps = 1e-30}),
                       trained(AdamW{.beta1 = 0, .beta2 = 0, .eps = 1e-30})) <= 1e-14);
  const Adaptive<Embedding> forgetful{.beta1 = 0, .beta2 = 0, .eps = 1e-30};
  Matrix<double> weights = Matrix<double>::Zero(2, 2);
  Optimizer<Adaptive<Embedding>, double> optimizer(2, 2, {.learning_rate = 1}, forgetful);
  optimizer.step(weights, Matrix<double>{{3, 4}, {0, 0}});
  CHECK(relative_error(weights, Matrix<double>{{-3 / std::sqrt(12.5), -4 / std::sqrt(12.5)}, {0, 0}}) <=
        1e-15);
  const double close = std::nextafter(1.0, 0.0);
  const Adaptive<Embedding> slow{.beta1 = close, .beta2 = close};
  CHECK(trained(slow).allFinite());
  CHECK(trained<Adaptive<Embedding>, float>(slow).allFinite());
  CHECK(relative_error(trained(slow, {6, 1}), trained(AdamW{.beta1 = close, .beta2 = close}, {6, 1})) <=
        1e-12);

  const auto refuses = [](const Adaptive<LmHead>& rule, const char* name) {
    CHECK_THROWS_WITH_AS((Optimizer<Adaptive<LmHead>>(2, 2, {}, rule)), doctest::Contains(name),
                         std::invalid_argument);
  };
  for (const double bad : {-0.1, 1.0, nan}) {
    refuses({.beta1 = bad}, "Adaptive::beta1");
    refuses({.beta2 = bad}, "Adaptive::beta2");
  }
  for (const double bad : {0.0, -1.0, nan, infinity}) refuses({.eps = bad}, "Adaptive::eps");
  refuses({.every = -1}, "Adaptive::every");
  CHECK_THROWS_AS((Optimizer<Adaptive<LmHead>>(2, 2, {.momentum = 0.5})), std::invalid_argument);
}

TEST_CASE("every option of second moments changes the result") {
  const auto base = trained(Adaptive<Embedding>{});
  CHECK(relative_error(trained(Adaptive<Embedding>{.beta1 = 0.8}), base) > 1e-3);
  CHECK(relative_error(trained(Adaptive<Embedding>{.beta2 = 0.9}), base) > 1e-3);
  CHECK(relative_error(trained(Adaptive<Embedding>{.eps = 0.1}), base) > 1e-3);
}

TEST_CASE("the state is a block and a line, and empty blocks step") {
  Optimizer<Adaptive<Embedding>, double> rows(2, 3);
  Matrix<double> weights = Matrix<double>::Zero(2, 3);
  rows.step(weights, Matrix<double>{{1, 2, 2}, {0, 0, 0}});
  CHECK(rows.state().step == 1);
  CHECK(rows.state().momentum()(0, 1) == doctest::Approx(0.2));
  REQUIRE(rows.state().root_mean_squares().size() == 2);
  CHECK(rows.state().root_mean_squares()[0] == doctest::Approx(0.1 * std::sqrt(3.0)));
  CHECK(rows.state().root_mean_squares()[1] == 0);
  CHECK(Optimizer<Adaptive<SwigluOutput>>(2, 3).state().root_mean_squares().size() == 3);
  CHECK(Optimizer<Adaptive<LmHead, moments::Block>>(2, 3).state().root_mean_squares().size() == 1);
  CHECK(symopt::detail::shape_of(Optimizer<Adaptive<Trivial>>(2, 3).state().root_mean_squares()) ==
        Shape{2, 3});
  const auto steps_empty = [](auto rule, Shape shape) {
    Matrix<float> none(shape.rows, shape.cols);
    Optimizer<decltype(rule)> optimizer(shape.rows, shape.cols, {}, rule);
    CHECK(optimizer.step(none, none).applied);
    if constexpr (requires { optimizer.state().root_mean_squares().size() == 1u; }) {
      for (Index k = 0; k < Index(optimizer.state().root_mean_squares().size()); ++k)
        CHECK(*(optimizer.state().root_mean_squares().data() + k) == 0);
    }
  };
  for (const Shape shape : {Shape{0, 3}, Shape{3, 0}, Shape{0, 0}}) {
    steps_empty(Adaptive<Trivial>{}, shape);
    steps_empty(Adaptive<Embedding>{}, shape);
    steps_empty(Adaptive<SwigluOutput>{}, shape);
    steps_empty(Adaptive<LmHead>{}, shape);
    steps_empty(Adaptive<OnBoth, moments::Block>{}, shape);
  }
}

TEST_CASE("plans and files name the rule with its group and options") {
  const Adaptive<LmHead> rule{.beta2 = 0.5};
  CHECK(symopt::detail::rule_text(rule) == "P > Adaptive<Rows> > P");
  CHECK(symopt::detail::rule_text(OneRate{}) == "Adaptive<Block>");
  CHECK(symopt::detail::rule_group_text<Adaptive<LmHead>>() == "LmHead: S x O + shift");
  CHECK(symopt::detail::rule_options_text(rule) ==
        "Adaptive<Rows>.beta1=0.9, Adaptive<Rows>.beta2=0.5, Adaptive<Rows>.eps=1e-08");
}

TEST_CASE("stacks take second moments as roles, with AdamW's default rate") {
  CHECK(role<Adaptive<Router>>().options().learning_rate == role<AdamW>().options().learning_rate);
  CHECK(role<Adaptive<Router>>().options().scale == Scale::match_rms);
  CHECK(role<Adaptive<Trivial>>().acts_entrywise());
  CHECK_FALSE(role<Adaptive<Embedding>>().acts_entrywise());
  Matrix<float> weights = Matrix<float>::Zero(5, 4), gradient = Matrix<float>::Identity(5, 4);
  Matrix<float> alone = weights;
  LayerwiseOptimizer stack;
  stack.add<Adaptive<LmHead>>("head", weights, std::as_const(gradient), {.learning_rate = 0.1}, {},
                              RowMask::first(4));
  Optimizer<Adaptive<LmHead>> optimizer(4, 4, {.learning_rate = 0.1});
  Matrix<float> four = alone.topRows(4);
  for (int step = 0; step < 2; ++step) {
    stack.step();
    optimizer.step(four, Matrix<float>(gradient.topRows(4)));
  }
  CHECK(same_bits(Matrix<float>(weights.topRows(4)), four));
  CHECK(weights.row(4).isZero());
  const PlanRow row = stack.plan().rows()[0];
  CHECK(row.group == "LmHead: S x O + shift");
  CHECK(row.rule == "P > Adaptive<Rows> > P");
}

TEST_CASE("the rule called by itself gives the optimizer's direction") {
  CAPTURE(default_seed);
  Random random(default_seed);
  const auto check = [&](auto rule) {
    using Rule = decltype(rule);
    const Shape shape{7, 5};
    auto state = symopt::detail::make_state<typename Rule::template State<double>>(shape);
    Optimizer<Rule, double> optimizer(shape.rows, shape.cols, {.learning_rate = 1}, rule);
    Matrix<double> weights = Matrix<double>::Zero(7, 5), direction = weights, expected = weights;
    for (int step = 0; step < 3; ++step) {
      const Matrix<double> gradient = gaussian_block(shape, random);
      rule(weights, gradient, state, direction);
      expected -= direction;
      optimizer.step(weights, gradient);
      CHECK(relative_error(weights, expected) <= 1e-13);
    }
  };
  check(Adaptive<Trivial>{});
  check(Adaptive<LmHead>{});
  check(Adaptive<SwigluOutput>{});
  check(Adaptive<OnBoth, moments::Block>{});
}

TEST_CASE_TEMPLATE("finite gradients of the largest size make a finite step", Rule, Adaptive<Trivial>,
                   Adaptive<Embedding>, Adaptive<SwigluOutput>, Adaptive<LmHead>, OneHeadRate) {
  Matrix<float> weights = Matrix<float>::Zero(4, 20);
  Matrix<float> gradient = Matrix<float>::Constant(4, 20, std::numeric_limits<float>::max() / 2);
  gradient.row(1) *= -1;
  gradient.row(2) *= -1;
  Optimizer<Rule> optimizer(4, 20, {.learning_rate = 1});
  for (int step = 0; step < 3; ++step) optimizer.step(weights, gradient);
  CHECK(weights.allFinite());
  CHECK(relative_error(as_double(weights), -3 * as_double(gradient).cwiseSign()) <= 1e-5);
}

}}  // namespace adaptive_test
