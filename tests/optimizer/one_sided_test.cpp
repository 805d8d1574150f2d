// SPDX-License-Identifier: Apache-2.0
// Full second moments on the shorter side: the direction against an eigendecomposition in double, its bound,
// heads, the state, and that twins stay twins.
#include "support/inputs.hpp"
#include "support/user_groups.hpp"

#include <symopt/check/laws/trajectory.hpp>
#include <symopt/symopt.hpp>

#include <doctest/doctest.h>

#include <Eigen/Eigenvalues>

#include <cmath>
#include <cstdint>
#include <functional>
#include <limits>
#include <stdexcept>
#include <type_traits>
#include <vector>

namespace one_sided_test { namespace {

using namespace symopt;
using namespace symopt_test;

using OneSided = Adaptive<HiddenMatrix>;
template <Side side, int size>
using Heads = Product<HeadRotations<side, size>,
                      std::conditional_t<side == Side::left, RightOrthogonal, LeftOrthogonal>>;
using RowHeads = Adaptive<Heads<Side::left, 3>>;
using ColumnHeads = Adaptive<Heads<Side::right, 4>>;
using OfHead = Adaptive<LmHead, moments::OneSided>;
using MirroredHead = Product<LeftOrthogonal, ColumnPermutation, ColumnShift>;
using OfMirroredHead = Adaptive<MirroredHead, moments::OneSided>;

static_assert(std::same_as<OneSided::moments_type, moments::OneSided> && std::is_aggregate_v<OneSided>);
static_assert(Admissible<OneSided, BiOrthogonal> && !Admissible<OneSided, RowScalings>);
static_assert(Admissible<RowHeads, Heads<Side::left, 3>> && !Admissible<RowHeads, HiddenMatrix> &&
              !Admissible<RowHeads, RowPermutation>);
static_assert(Admissible<OfHead, LmHead> && !Admissible<OfHead, HiddenMatrix>);

/// The formulas for one cell, by an eigendecomposition.
class Oracle {
 public:
  explicit Oracle(const OneSided& rule, bool is_left) : rule_(rule), is_left_(is_left) {}

  /// The gradient of a step, with the cell's longer side to the right, and whether the root is renewed.
  void add(const Matrix<double>& gradient, bool renews = true) {
    const Matrix<double> g = is_left_ ? gradient : Matrix<double>(gradient.transpose());
    if (t_++ == 0) {
      momentum_ = Matrix<double>::Zero(g.rows(), g.cols());
      moments_ = Matrix<double>::Zero(g.rows(), g.rows());
    }
    momentum_ = rule_.beta1 * momentum_ + (1 - rule_.beta1) * g;
    moments_ = rule_.beta2 * moments_ + (1 - rule_.beta2) / double(g.cols()) * g * g.transpose();
    if (renews) root_moments_ = moments_ / (1 - std::pow(rule_.beta2, t_));
  }
  Matrix<double> momentum() const { return momentum_ / (1 - std::pow(rule_.beta1, t_)); }
  const Matrix<double>& root_moments() const { return root_moments_; }

  /// The worst deviation of a direction from the exact one, eigenvector by eigenvector: for eigenvalues of at
  /// least 1e-6 of the trace the relative one, for the others what exceeds the exact size.
  double error(const Matrix<double>& direction) const {
    const Matrix<double> u = is_left_ ? direction : Matrix<double>(direction.transpose());
    const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> solver(root_moments_);
    const Matrix<double> basis = solver.eigenvectors().transpose();
    const Matrix<double> of_direction = basis * u, of_momentum = basis * momentum();
    const double trace = solver.eigenvalues().sum();
    Worst worst;
    for (Index i = 0; i < u.rows(); ++i) {
      const double x = std::max(solver.eigenvalues()(i), 0.0) + rule_.eps * rule_.eps;
      const double exact = of_momentum.row(i).norm() / std::sqrt(x), size = of_direction.row(i).norm();
      const double floor = 1e-6 * u.norm() + 1e-300;
      if (x >= 1e-6 * trace) {
        const double factor = of_direction.row(i).dot(of_momentum.row(i)) /
                              std::max(of_momentum.row(i).squaredNorm(), 1e-300) * std::sqrt(x);
        if (exact > floor) worst.add(std::abs(factor - 1));
      } else if (size > floor) {
        worst.add(std::max(0.0, size / exact - 1));
      }
    }
    return worst.value();
  }
  /// c k n of docs/derivation.md, the most that |U|_F^2 may be.
  double largest_square() const {
    double c = 0;
    for (int s = 0; s < t_; ++s) {
      const double a = (1 - rule_.beta1) * std::pow(rule_.beta1, s) / (1 - std::pow(rule_.beta1, t_));
      const double w = (1 - rule_.beta2) * std::pow(rule_.beta2, s) / (1 - std::pow(rule_.beta2, t_));
      c += a * a / w;
    }
    return c * double(momentum_.size());
  }

 private:
  OneSided rule_;
  bool is_left_;
  int t_ = 0;
  Matrix<double> momentum_, moments_, root_moments_;
};

/// The directions of an optimizer in weights of that storage order.
template <class Rule, class Scalar, int order = Eigen::RowMajor>
class Directions {
 public:
  Directions(Shape shape, const Rule& rule)
      : optimizer_(shape.rows, shape.cols, {.learning_rate = 1}, rule), weights_(shape.rows, shape.cols) {}

  Matrix<double> operator()(const Matrix<double>& gradient) {
    weights_.setZero();
    CHECK(optimizer_.step(weights_, Block(gradient.cast<Scalar>())).applied);
    return -as_double(weights_);
  }
  const auto& state() const { return optimizer_.state(); }

 private:
  using Block = Eigen::Matrix<Scalar, Eigen::Dynamic, Eigen::Dynamic, order>;
  Optimizer<Rule, Scalar> optimizer_;
  Block weights_;
};

/// Gradients of all kinds, rounded to float.
Matrix<double> gradient_at(int step, Shape shape, Random& random) {
  const std::vector<Input> inputs =
      step % 3 == 2 ? hard_inputs(shape, random) : well_conditioned_inputs(shape, random);
  const Matrix<double>& value = inputs[static_cast<std::size_t>(step) % inputs.size()].value;
  return value.cast<float>().cast<double>();
}

template <class Scalar, int order>
double error_of(Shape shape, const OneSided& rule, int steps) {
  Random random(default_seed);
  Directions<OneSided, Scalar, order> directions(shape, rule);
  Oracle oracle(rule, shape.rows <= shape.cols);
  const int every = rule.every > 0 ? rule.every : 10;
  Worst worst;
  for (int step = 1; step <= steps; ++step) {
    const Matrix<double> gradient = gaussian_block(shape, random).cast<float>().cast<double>();
    oracle.add(gradient, step <= every || step % every == 0);
    worst.add(oracle.error(directions(gradient)));
  }
  return worst.value();
}

TEST_CASE("directions are those of an eigendecomposition within the band, in either storage order") {
  CAPTURE(default_seed);
  for (const Shape shape : {Shape{5, 9}, Shape{9, 5}, Shape{6, 6}, Shape{33, 70}, Shape{2, 1}, Shape{1, 4}})
    for (const int every : {1, 4}) {
      CAPTURE(to_string(shape));
      const OneSided rule{.every = every};
      CHECK(error_of<double, Eigen::RowMajor>(shape, rule, 12) <= 0.044);
      CHECK(error_of<double, Eigen::ColMajor>(shape, rule, 12) <= 0.044);
      CHECK(error_of<float, Eigen::RowMajor>(shape, rule, 12) <= 0.06);
      CHECK(error_of<float, Eigen::ColMajor>(shape, rule, 12) <= 0.06);
    }
}

TEST_CASE("and for gradients of all kinds, where the moments are singular too") {
  CAPTURE(default_seed);
  const auto check = [](auto zero, double band) {
    using Scalar = decltype(zero);
    for (const Shape shape : {Shape{6, 8}, Shape{12, 5}, Shape{24, 24}}) {
      Random random(default_seed);
      const OneSided rule{.beta2 = 0.9, .every = 1};
      Directions<OneSided, Scalar> directions(shape, rule);
      Oracle oracle(rule, shape.rows <= shape.cols);
      for (int step = 0; step < 24; ++step) {
        CAPTURE(step);
        const Matrix<double> gradient = gradient_at(step, shape, random);
        oracle.add(gradient);
        const Matrix<double> direction = directions(gradient);
        CHECK(direction.allFinite());
        CHECK(oracle.error(direction) <= band);
        CHECK(direction.squaredNorm() <= 1.13 * oracle.largest_square());
      }
    }
  };
  check(0.0, 0.044);
  check(0.0F, 0.06);
}

TEST_CASE("moments of rank one, equal rows, no gradient: directions are finite and none where nothing was") {
  for (const Shape shape : {Shape{8, 20}, Shape{20, 8}}) {
    Directions<OneSided, float> directions(shape, {});
    CHECK(directions(Matrix<double>::Zero(shape.rows, shape.cols)).isZero(0));
    const Matrix<double> ones = Matrix<double>::Ones(shape.rows, shape.cols);
    Directions<OneSided, float> constant(shape, {});
    for (int step = 0; step < 15; ++step) {
      const Matrix<double> direction = constant(ones);
      const Index k = std::min(shape.rows, shape.cols);
      CHECK(relative_error(direction, ones / std::sqrt(double(k))) <=
            0.06);  // the only direction that there is
    }
  }
}

TEST_CASE("a direction that a root out of date would make too long is made with a new one") {
  CAPTURE(default_seed);
  Random random(default_seed);
  const Shape shape{16, 64};
  const OneSided rule{.every = 5};
  Directions<OneSided, double> directions(shape, rule);
  Oracle oracle(rule, true);
  double without = 0, longest = 0;
  for (int step = 1; step <= 9; ++step) {
    // Half of the rows see no gradient before step 7.
    Matrix<double> gradient = gaussian_block(shape, random);
    if (step < 7) gradient.bottomRows(8).setZero();
    oracle.add(gradient);
    const Matrix<double> kept = directions.state().inverse_root();
    const Matrix<double> direction = directions(gradient);
    CHECK(direction.squaredNorm() <= 1.13 * oracle.largest_square());
    longest = std::max(longest, std::sqrt(direction.squaredNorm() / double(direction.size())));
    if (step == 7) without = std::sqrt((kept * oracle.momentum()).squaredNorm() / double(direction.size()));
  }
  CHECK(longest <= 3);
  CHECK(without > 30);
}

TEST_CASE(
    "of rank 16, early: entries are as large as they should be in the steps in which roots are renewed") {
  CAPTURE(default_seed);
  Random random(default_seed);
  const Shape shape{64, 256};
  Directions<OneSided, float> directions(shape, {});
  for (int step = 1; step <= 6; ++step) {
    const Matrix<double> gradient = gaussian_block({64, 16}, random) * gaussian_block({16, 256}, random) / 4;
    const Matrix<double> direction = directions(gradient);
    const double size = std::sqrt(direction.squaredNorm() / double(direction.size()));
    CAPTURE(step);
    CHECK(size <= 1.1);
    CHECK(size >= 0.25);
  }
}

TEST_CASE("a square block has its moments on the left, however it lies in memory") {
  CAPTURE(default_seed);
  Random random(default_seed);
  const Shape shape{12, 12};
  Directions<OneSided, double, Eigen::RowMajor> rows(shape, {});
  Directions<OneSided, double, Eigen::ColMajor> columns(shape, {});
  Oracle left(OneSided{}, true), right(OneSided{}, false);
  for (int step = 0; step < 5; ++step) {
    const Matrix<double> gradient =
        Eigen::VectorXd::LinSpaced(12, 0.1, 3).asDiagonal() * gaussian_block(shape, random);
    left.add(gradient), right.add(gradient);
    const Matrix<double> direction = rows(gradient);
    CHECK(relative_error(columns(gradient), direction) <= 1e-9);
    CHECK(left.error(direction) <= 0.044);
    if (step > 1) CHECK(right.error(direction) > 0.1);
  }
  CHECK(rows.state().side() == Side::left);
  CHECK(Optimizer<OneSided>(5, 3).state().side() == Side::right);

  // And a layout says how memory lies, not what the block is called.
  Matrix<double> weights = Matrix<double>::Zero(12, 12), gradient = gaussian_block(shape, random);
  Matrix<double> mirrored = weights, of_mirrored = gradient.transpose();
  BasicLayerwiseOptimizer<double> stack;
  stack.add<OneSided>("one", weights, std::as_const(gradient), {.learning_rate = 1});
  stack.add<OneSided>("stored", mirrored, std::as_const(of_mirrored), {.learning_rate = 1},
                      layout::transposed());
  for (int step = 0; step < 3; ++step) stack.step();
  CHECK(relative_error(mirrored.transpose(), weights) <= 1e-9);
}

TEST_CASE("heads have moments of their own: the group's and a layout's are the same") {
  CAPTURE(default_seed);
  const auto check = [](auto rule, Shape shape, const Layout& heads, Index count) {
    using Rule = decltype(rule);
    Random random(default_seed);
    Directions<Rule, double> directions(shape, rule);
    Matrix<double> apart = Matrix<double>::Zero(shape.rows, shape.cols), gradient = apart;
    BasicLayerwiseOptimizer<double> stack;
    stack.add<OneSided>("heads", apart, std::as_const(gradient), {.learning_rate = 1}, heads);
    Directions<OneSided, double> whole(shape, {});
    for (int step = 0; step < 12; ++step) {
      gradient.array() = gaussian_block(shape, random).array();  // in its memory, which the stack reads
      apart.setZero();
      stack.step();
      const Matrix<double> direction = directions(gradient);
      CHECK(relative_error(direction, -apart) <= 1e-9);
      if (step > 0)
        CHECK(relative_error(whole(gradient), direction) > 1e-2);
      else
        whole(gradient);
    }
    CHECK(directions.state().second_moments(count - 1).rows() == directions.state().size());
    CHECK_THROWS_AS(directions.state().second_moments(count), std::out_of_range);
  };
  check(RowHeads{}, {12, 10}, layout::row_heads(4), 4);
  check(RowHeads{}, {6, 2}, layout::row_heads(2), 2);  // a head is higher than wide
  check(ColumnHeads{}, {10, 12}, layout::column_heads(3), 3);
  CHECK_THROWS_WITH_AS((Optimizer<RowHeads>(10, 12)), doctest::Contains("heads of 3 do not fill a block of "),
                       std::invalid_argument);
}

template <class Group, class Rule>
check::Verdict twins(const Rule& rule) {
  OptimizerOptions options{.learning_rate = 0.1, .weight_decay = 0.1};
  if (!Rule::projection::is_identity) options.decay = Decay::horizontal;
  const auto optimizer = [&](Shape shape) {
    return Optimizer<Rule, double>(shape.rows, shape.cols, options, rule);
  };
  return check::check_trajectory<Group>(optimizer, {.steps = 7, .trials = 2, .shapes = {{6, 4}, {6, 8}}})
      .verdict;
}

TEST_CASE("twins stay twins under rotations of both sides, and of heads, and part under others") {
  using enum check::Verdict;
  CHECK(twins<HiddenMatrix>(OneSided{}) == holds);
  CHECK(twins<HiddenMatrix>(OneSided{.every = 3}) == holds);
  CHECK(twins<RowScalings>(OneSided{}) == violated);
  CHECK(twins<Heads<Side::left, 3>>(RowHeads{}) == holds);
  CHECK(twins<Heads<Side::right, 4>>(ColumnHeads{}) == holds);
  CHECK(twins<LmHead>(OfHead{}) == holds);
  CHECK(twins<MirroredHead>(OfMirroredHead{}) == holds);
  CHECK(twins<LeftOrthogonal>(OfHead{}) == violated);
}

TEST_CASE("under a shift the direction is horizontal and does not see one of the gradient") {
  CAPTURE(default_seed);
  Random random(default_seed);
  for (const Shape shape : {Shape{6, 4}, Shape{5, 9}}) {
    Directions<OfHead, double> directions(shape, {}), shifted(shape, {});
    for (int step = 0; step < 14; ++step) {
      const Matrix<double> gradient = gaussian_block(shape, random);
      const Matrix<double> direction = directions(gradient);
      CHECK(direction.colwise().mean().norm() <= 1e-12 * direction.norm());
      const Matrix<double> common =
          Matrix<double>::Ones(shape.rows, 1) * gaussian_block({1, shape.cols}, random);
      CHECK(relative_error(shifted(gradient + common), direction) <= 1e-9);
    }
  }
}

/// The last of some directions, from gradients of that scale.
template <class Rule, class Scalar = double>
Matrix<double> last_direction(const Rule& rule, double scale = 1, Shape shape = {6, 8}, int steps = 14) {
  Random random(default_seed);
  Directions<Rule, Scalar> directions(shape, rule);
  Matrix<double> last;
  for (int step = 0; step < steps; ++step) last = directions(scale * gaussian_block(shape, random));
  return last;
}

TEST_CASE(
    "huge and tiny gradients make the steps that others make, to the bit in units that are powers of two") {
  const auto scaled = [](double scale) { return OneSided{.eps = std::max(1e-8 * scale, 1e-300)}; };
  for (const double scale : {0x1p-95, 0x1p-40, 0x1p40, 0x1p95, 0x1p120})
    CHECK(last_direction<OneSided, float>(scaled(scale), scale) == last_direction<OneSided, float>({}));
  for (const double scale : {0x1p-600, 0x1p600, 0x1p900})
    CHECK(relative_error(last_direction(scaled(scale), scale), last_direction(OneSided{})) <= 1e-12);
  CHECK(last_direction(scaled(1e-4), 1e-4) != last_direction(OneSided{}));
}

TEST_CASE("scales that change from step to step: the unit of the moments follows") {
  CAPTURE(default_seed);
  Random random(default_seed);
  const Shape shape{5, 7};
  const OneSided rule{.eps = 1e-200, .every = 1};
  Directions<OneSided, double> directions(shape, rule);
  // What was is forgotten beside a gradient that is 1e60 times as large, and is all there is beside a
  // smaller.
  Oracle oracle(rule, true);
  for (const double scale : {1e-80, 1e-20, 1e-20, 1e40, 1e100}) {
    const Matrix<double> gradient = scale * gaussian_block(shape, random);
    oracle.add(gradient);
    CHECK(oracle.error(directions(gradient)) <= 0.044);
  }
  for (int step = 0; step < 20; ++step) CHECK(directions(1e-100 * gaussian_block(shape, random)).allFinite());
}

TEST_CASE("eps is in the units of a gradient entry, and bounds a step of gradients that are smaller") {
  const OneSided rule{.beta1 = 0, .eps = 1e-3, .every = 1};
  const Matrix<double> direction = last_direction(rule, 1e-6);
  Random random(default_seed);
  Matrix<double> gradient;
  for (int step = 0; step < 14; ++step) gradient = 1e-6 * gaussian_block({6, 8}, random);
  CHECK(relative_error(direction, gradient / 1e-3) <= 0.045);
  // One line: one second moment for the block, whose eps is added to the root and not to the square.
  const auto on_a_line = [](auto line_rule) { return last_direction(line_rule, 1.0, Shape{1, 8}); };
  CHECK(relative_error(on_a_line(OneSided{.eps = 1e-12, .every = 1}),
                       on_a_line(Adaptive<HiddenMatrix, moments::Block>{.eps = 1e-12})) <= 1e-11);
}

TEST_CASE("every option changes the result, and those out of range are refused") {
  const Matrix<double> base = last_direction(OneSided{});
  for (const OneSided& rule : {OneSided{.beta1 = 0.8}, OneSided{.beta2 = 0.9}, OneSided{.eps = 0.5},
                               OneSided{.every = 1}, OneSided{.every = 4}})
    CHECK(relative_error(last_direction(rule), base) > 1e-3);
  CHECK(last_direction(OneSided{.every = 10}) == base);
  CHECK_THROWS_WITH_AS((Optimizer<OneSided>(2, 2, {}, {.every = -1})), doctest::Contains("Adaptive::every"),
                       std::invalid_argument);
  const double close = std::nextafter(1.0, 0.0);
  for (const OneSided& rule : {OneSided{.beta1 = close, .beta2 = close}, OneSided{.beta1 = 0, .beta2 = 0},
                               OneSided{.beta1 = 0.9, .beta2 = 0}, OneSided{.beta1 = 0.99, .beta2 = 0.9}})
    CHECK(last_direction(rule).allFinite());
  CHECK(symopt::detail::rule_text(OfHead{}) == "P > Adaptive<OneSided> > P");
  CHECK(symopt::detail::rule_options_text(OneSided{}) ==
        "Adaptive<OneSided>.beta1=0.9, Adaptive<OneSided>.beta2=0.99, Adaptive<OneSided>.eps=1e-08, "
        "Adaptive<OneSided>.every=0");
}

TEST_CASE("the rule called by itself gives the optimizer's direction") {
  CAPTURE(default_seed);
  const auto check = [](auto rule, Shape shape) {
    using Rule = decltype(rule);
    Random random(default_seed);
    auto state = symopt::detail::make_state<typename Rule::template State<double>>(shape);
    Directions<Rule, double> directions(shape, rule);
    Matrix<double> weights = Matrix<double>::Zero(shape.rows, shape.cols), direction = weights;
    for (int step = 0; step < 13; ++step) {
      const Matrix<double> gradient = gaussian_block(shape, random);
      rule(weights, gradient, state, direction);
      CHECK(relative_error(directions(gradient), direction) <= 1e-12);
    }
    CHECK(state.second_moments() == directions.state().second_moments());
  };
  check(OneSided{.every = 3}, {7, 5});
  check(RowHeads{}, {6, 5});
  check(OfHead{}, {7, 5});
}

TEST_CASE("finite gradients of the largest size make a finite step, empty blocks step") {
  for (const float size : {std::numeric_limits<float>::max() / 2, std::numeric_limits<float>::min(),
                           std::numeric_limits<float>::denorm_min()}) {
    Random random(default_seed);
    Matrix<float> weights = Matrix<float>::Zero(4, 20);
    Optimizer<OneSided> optimizer(4, 20, {.learning_rate = 1}, {.eps = 1e-60});
    for (int step = 0; step < 13; ++step) {
      const Matrix<float> gradient =
          size * gaussian_block({4, 20}, random).cwiseMin(1).cwiseMax(-1).cast<float>();
      optimizer.step(weights, gradient);
      CHECK(weights.allFinite());
    }
    CHECK(weights.norm() <= 13 * 3 * std::sqrt(80.0F));
  }
  for (const Shape shape : {Shape{0, 3}, Shape{3, 0}, Shape{0, 0}}) {
    Matrix<float> none(shape.rows, shape.cols);
    CHECK(Optimizer<OneSided>(shape.rows, shape.cols).step(none, none).applied);
    CHECK(Optimizer<RowHeads>(shape.rows, shape.cols).step(none, none).applied);
  }
}

TEST_CASE("the state is a block and a triangle for each head, and shows the moments") {
  Directions<OneSided, double> directions({2, 4}, {});
  directions(Matrix<double>{{1, 1, 1, 1}, {2, 2, -2, -2}});
  const Matrix<double> expected{{0.01, 0}, {0, 0.04}};
  CHECK(relative_error(directions.state().second_moments(), expected) <= 1e-15);
  CHECK(directions.state().momentum()(1, 0) == doctest::Approx(0.2));
  CHECK(directions.state().inverse_root()(1, 1) == doctest::Approx(0.5).epsilon(0.044));
  CHECK(directions.state().step == 1);
}

TEST_CASE("states that no step makes are refused") {
  using Full = symopt::detail::FullMoments<float>;
  const auto refuses = [](const std::function<void(Full&)>& change, const char* part) {
    Full state(2, 3);
    CHECK_NOTHROW(state.validate());
    change(state);
    CHECK_THROWS_WITH_AS(state.validate(), doctest::Contains(part), Error);
  };
  refuses([](Full& state) { state.moments(1, 2) = -1; }, "mean square");
  refuses([](Full& state) { state.moments(1, 1) = 1; }, "mean product");  // beside squares of zero
  refuses([](Full& state) { state.exponents[0] = std::int64_t{1} << 40; }, "exponent");
  refuses([](Full& state) { state.root_exponents[1] = std::numeric_limits<std::int64_t>::min(); },
          "exponent");
}

TEST_CASE("what a clip multiplies a gradient by is in the moments, too") {
  Random random(default_seed);
  Matrix<double> clipped = Matrix<double>::Zero(4, 6), scaled = clipped, gradient = clipped, small = clipped;
  BasicLayerwiseOptimizer<double> stack;
  stack.add<OneSided>("w", clipped, std::as_const(gradient), {.learning_rate = 1});
  Optimizer<OneSided, double> alone(4, 6, {.learning_rate = 1});
  for (int step = 0; step < 12; ++step) {
    gradient = (step % 4 + 1.0) * gaussian_block({4, 6}, random);
    small = gradient * std::min(1.0, 2 / gradient.norm());
    clip_by_global_norm(stack, 2.0);
    stack.step();
    alone.step(scaled, small);
    CHECK(relative_error(clipped, scaled) <= 1e-9);
  }
}

}}  // namespace one_sided_test
