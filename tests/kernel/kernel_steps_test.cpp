// SPDX-License-Identifier: Apache-2.0
// Every fused step against its reference: shapes, scales, layouts, and what it must not touch.
#include "support/step_list.hpp"

#include <symopt/kernel/adaptive_block.hpp>
#include <symopt/kernel/adaptive_centred.hpp>
#include <symopt/kernel/adaptive_columns.hpp>

#include <doctest/doctest.h>

#include <cstring>

namespace kernel_steps_test { namespace {

using namespace symopt;
using namespace symopt_test;
using kernel::Check;
using kernel::StepCoefficients;
using kernel::Streams;

// An ordinary run of the tests has the sanitizers look at one scalar.
#ifndef SYMOPT_TEST_SCALARS
#define SYMOPT_TEST_SCALARS float, double
#endif

/// Numbers inside of a larger memory full of NaN, at an odd address: reading past an end shows in the result,
/// writing in the surroundings.
template <class T>
class Fenced {
 public:
  Fenced(Shape shape, Index gap, bool is_transposed = false)
      : lines_(is_transposed ? shape.cols : shape.rows),
        length_(is_transposed ? shape.rows : shape.cols),
        stride_(length_ + gap),
        memory_(static_cast<std::size_t>(lines_ * stride_ + 2 * fence + 1), fill()),
        is_transposed_(is_transposed) {}

  symopt::detail::BlockView<T> view() {
    T* first = memory_.data() + fence + 1;
    if (is_transposed_) return {first, {length_, 1}, {lines_, stride_}};
    return {first, {lines_, stride_}, {length_, 1}};
  }
  void assign(const Matrix<double>& values) {
    const symopt::detail::BlockView<T> block = view();
    for (Index i = 0; i < values.rows(); ++i)
      for (Index j = 0; j < values.cols(); ++j)
        block.row(i)[block.cols.offset(j)] = static_cast<T>(values(i, j));
  }
  Matrix<double> values() {
    const symopt::detail::BlockView<T> block = view();
    Matrix<double> copy(block.rows.size, block.cols.size);
    for (Index i = 0; i < copy.rows(); ++i)
      for (Index j = 0; j < copy.cols(); ++j)
        copy(i, j) = static_cast<double>(block.row(i)[block.cols.offset(j)]);
    return copy;
  }
  bool is_intact() {
    std::vector<T> rest = memory_;
    for (Index l = 0; l < lines_; ++l)
      for (Index k = 0; k < length_; ++k)
        rest[static_cast<std::size_t>(fence + 1 + l * stride_ + k)] = fill();
    for (const T& x : rest)
      if (x == x) return false;
    return true;
  }

 private:
  static constexpr Index fence = 32;
  static T fill() { return std::numeric_limits<T>::quiet_NaN(); }

  Index lines_, length_, stride_;
  std::vector<T> memory_;
  bool is_transposed_;
};

struct Trial {
  Shape shape;
  StepCoefficients coefficients;
  double gradient_scale = 1;
  double momentum_scale = 1;
  kernel::Eps eps = 1e-8;
  double weight_scale = 1;
};

/// The largest error of two steps, in units of roundoff: of the weights on the scale of weights and
/// direction, of the momentum on the scale of its two terms.
template <class Scalar>
double error_of(const StepPair<Scalar>& pair, const Trial& trial, Index gap = 0,
                bool gradient_is_transposed = false) {
  Random random(default_seed);
  const Shape shape = trial.shape;
  Matrix<double> w = trial.weight_scale * gaussian_block(shape, random),
                 m = trial.momentum_scale * gaussian_block(shape, random);
  if (shape.rows > 2) m.row(1).setZero();
  Fenced<Scalar> weights(shape, gap), gradient(shape, gap, gradient_is_transposed), momentum(shape, 0);
  Fenced<Scalar> plain_weights(shape, 0), plain_momentum(shape, 0);
  weights.assign(w);
  momentum.assign(m);
  plain_weights.assign(w);
  plain_momentum.assign(m);
  Worst worst;
  for (int step = 0; step < 2; ++step) {
    Matrix<double> g = trial.gradient_scale * gaussian_block(shape, random);
    if (shape.rows > 2) g.row(1).setZero();
    gradient.assign(g);
    const double scale_of_momentum = plain_momentum.values().cwiseAbs().maxCoeff() + g.cwiseAbs().maxCoeff();
    const Streams<Scalar> streams{symopt::detail::BlockView<const Scalar>(gradient.view()), momentum.view(),
                                  weights.view()};
    REQUIRE(pair.fused(streams, trial.coefficients, Check::gradient));
    const Matrix<double> before = plain_weights.values();
    kernel::reference::step<Scalar>(gradient.view(), plain_momentum.view(), plain_weights.view(),
                                    trial.coefficients, pair.direction);
    const double unit = double(std::numeric_limits<Scalar>::epsilon());
    const double smallest = double(std::numeric_limits<Scalar>::min());
    const double reach = (plain_weights.values() - before).cwiseAbs().maxCoeff();
    worst.add((weights.values() - plain_weights.values()).cwiseAbs().maxCoeff() /
              (unit * (before.cwiseAbs().maxCoeff() + reach)));
    worst.add((momentum.values() - plain_momentum.values()).cwiseAbs().maxCoeff() /
              (unit * scale_of_momentum + smallest));
    CHECK(weights.is_intact());
    CHECK(gradient.is_intact());
    CHECK(momentum.is_intact());
    // The next step starts from the same numbers, or a rounding would be a sign.
    plain_weights.assign(weights.values());
    plain_momentum.assign(momentum.values());
  }
  return worst.value();
}

const StepCoefficients ema{.beta = 0.95, .gradient_weight = 0.05, .decay = 0.01, .step_size = 0.1};
const StepCoefficients nesterov{
    .beta = 0.9, .gradient_weight = 1, .nesterov = true, .decay = 0.01, .step_size = 0.1};
/// The coefficients with a clip's factor, which reaches the gradient alone.
StepCoefficients clipped(StepCoefficients coefficients) {
  coefficients.gradient_factor = 0.03;
  return coefficients;
}
constexpr double tolerance = 8;  // roundings

template <class Scalar>
void check_all(const Trial& trial, Index gap = 0, bool gradient_is_transposed = false) {
  CAPTURE(default_seed);
  CAPTURE(symopt::to_string(trial.shape));
  for (const StepPair<Scalar>& pair : step_pairs<Scalar>(trial.eps)) {
    CAPTURE(pair.name);
    CHECK(error_of(pair, trial, gap, gradient_is_transposed) <= tolerance);
    if (pair.can_decay_horizontally) {
      Trial horizontal = trial;
      horizontal.coefficients.decay_is_horizontal = true;
      CHECK(error_of(pair, horizontal, gap, gradient_is_transposed) <= tolerance);
    }
  }
}

TEST_CASE_TEMPLATE("every fused step agrees with its reference at every width", Scalar, SYMOPT_TEST_SCALARS) {
  for (Index cols = 1; cols <= 70; ++cols) {
    check_all<Scalar>({{13, cols}, cols % 2 == 0 ? ema : nesterov});  // eight, four and one row side by side
    check_all<Scalar>({{4, cols}, nesterov}, 3, true);
  }
}

TEST_CASE_TEMPLATE("every fused step multiplies the gradient by a clip's factor", Scalar,
                   SYMOPT_TEST_SCALARS) {
  for (const Shape shape : {Shape{13, 37}, Shape{300, 333}}) {
    check_all<Scalar>({shape, clipped(ema)});
    check_all<Scalar>({shape, clipped(nesterov)}, 3, true);
  }
}

TEST_CASE_TEMPLATE("every fused step agrees with its reference on blocks of many chunks", Scalar,
                   SYMOPT_TEST_SCALARS) {
  // Several chunks of rows; columns summed in strips and, for many rows, by chunks.
  for (const Shape shape : {Shape{300, 333}, Shape{2100, 70}, Shape{2, 40000}, Shape{5000, 9}})
    check_all<Scalar>({shape, ema});
  check_all<Scalar>({{2100, 70}, nesterov}, 5, true);
  // Rows that lie a page apart, and rows of which eight do not fit the second cache.
  for (const Index gap : {0, 3}) check_all<Scalar>({{13, 4096 / Index(sizeof(Scalar))}, nesterov}, gap);
  check_all<Scalar>({{11, 10000}, nesterov});
}

TEST_CASE_TEMPLATE(
    "every fused step agrees with its reference where the divisor is the larger of norm and eps", Scalar,
    SYMOPT_TEST_SCALARS) {
  // An eps among the norms of the lines: some are divided by it and some by their norm.
  for (const double scale : {1.0, 1e-20, 1e20}) {
    const kernel::Eps eps(6 * scale, symopt::Divisor::max_of_norm_and_eps);
    for (const Shape shape : {Shape{13, 37}, Shape{300, 33}, Shape{37, 13}})
      check_all<Scalar>({shape, nesterov, scale, scale, eps, 1e-3}, 3);
  }
}

TEST_CASE("columns are summed alike in a block that is too large for rows side by side") {
  for (const StepPair<float>& pair : step_pairs<float>(1e-8))
    if (pair.name == "column norm") CHECK(error_of(pair, {{1025, 4099}, ema}) <= tolerance);
}

TEST_CASE("every fused step agrees with its reference from 1e-30 to 1e37") {
  // At 3e18 the norms of some rows are beyond 2^64, and have a scale; at 1e37 one over a norm is no normal
  // number.
  for (const double scale : {1e-30, 1e-20, 3e18, 1e20, 1e30, 1e37}) {
    CAPTURE(scale);
    for (StepPair<float> pair : step_pairs<float>(0)) {
      CAPTURE(pair.name);
      if (!pair.is_scale_free) continue;
      if (scale < 1e37) CHECK(error_of(pair, {{7, 37}, nesterov, scale, scale}) <= tolerance);
      CHECK(error_of(pair, {{25, 37}, ema, scale, scale}) <= tolerance);
      StepCoefficients short_step = ema;
      short_step.step_size = 1e-3;
      CHECK(error_of(pair, {{25, 37}, short_step, scale, scale, 0, 1e-9}) <= tolerance);
      if (scale == 1e37) CHECK(error_of(pair, {{9, 40000}, ema, scale, scale, 0, 1e-9}) <= tolerance);
      CHECK(error_of(pair, {{1200, 37}, ema, scale, scale}) <= tolerance);
    }
  }
  for (const double scale : {1e-290, 1e-160, 1e160, 1e290}) {
    CAPTURE(scale);
    for (StepPair<double> pair : step_pairs<double>(0)) {
      CAPTURE(pair.name);
      if (!pair.is_scale_free) continue;
      CHECK(error_of(pair, {{7, 37}, ema, scale, scale}) <= tolerance);
      CHECK(error_of(pair, {{1200, 37}, nesterov, scale, scale}) <= tolerance);
    }
  }
}

TEST_CASE("a large common row is taken away to more digits than a float has") {
  CAPTURE(default_seed);
  for (const Shape shape : {Shape{13, 37}, Shape{300, 333}}) {
    CAPTURE(symopt::to_string(shape));
    Random random(default_seed);
    const auto near = [&](double common) -> Matrix<float> {  // sums and halves of these are exact
      return ((256 * gaussian_block(shape, random)).array().round() / 256 + common).matrix().cast<float>();
    };
    const Matrix<float> gradient = near(8192);
    Matrix<float> momentum = near(4096), weights = near(0);
    const auto centred = [](const Matrix<double>& x) -> Matrix<double> {
      return x.rowwise() - x.colwise().mean();
    };
    const Matrix<double> middle = (momentum.cast<double>() + gradient.cast<double>()) / 2;
    const Matrix<double> rows = centred(middle).rowwise().normalized();
    const Matrix<double> expected = weights.cast<double>() - 0.1 * centred(rows);
    const kernel::CentredRowNormStep rule{0};
    kernel::CentredRowNormStep::Memory<float> memory(shape, {});
    const Streams<float> streams{symopt::detail::BlockView<const float>(gradient),
                                 symopt::detail::BlockView<float>(momentum),
                                 symopt::detail::BlockView<float>(weights)};
    CHECK(
        rule.run(streams, {.beta = 0.5, .gradient_weight = 0.5, .step_size = 0.1}, Check::gradient, memory));
    CHECK(momentum.cast<double>() == middle);
    const double unit = double(std::numeric_limits<float>::epsilon());
    CHECK((weights.cast<double>() - expected).cwiseAbs().maxCoeff() <=
          tolerance * unit * expected.cwiseAbs().maxCoeff());
  }
}

TEST_CASE_TEMPLATE("sums of the momentum that are kept are those that are made again, to the bit", Scalar,
                   SYMOPT_TEST_SCALARS) {
  CAPTURE(default_seed);
  const kernel::CentredRowNormStep rule{1e-8};
  for (const Shape shape : {Shape{1, 5}, Shape{7, 37}, Shape{300, 333}, Shape{4000, 9}}) {
    CAPTURE(symopt::to_string(shape));
    Random random(default_seed);
    Matrix<Scalar> weights = gaussian_block(shape, random).cast<Scalar>();
    Matrix<Scalar> momentum = gaussian_block(shape, random).cast<Scalar>();
    Matrix<Scalar> other_weights = weights, other_momentum = momentum;
    kernel::MomentumSums kept(shape.cols);
    kernel::CentredRowNormStep::Memory<Scalar> memory(shape, {}), other_memory(shape, {});
    const auto step = [&](const StepCoefficients& coefficients) {
      const Matrix<Scalar> gradient = gaussian_block(shape, random).cast<Scalar>();
      const symopt::detail::BlockView<const Scalar> gradient_view(gradient);
      CHECK(rule.run(Streams<Scalar>{gradient_view, symopt::detail::BlockView<Scalar>(momentum),
                                     symopt::detail::BlockView<Scalar>(weights), &kept},
                     coefficients, Check::gradient, memory));
      CHECK(rule.run(Streams<Scalar>{gradient_view, symopt::detail::BlockView<Scalar>(other_momentum),
                                     symopt::detail::BlockView<Scalar>(other_weights)},
                     coefficients, Check::gradient, other_memory));
    };
    for (const StepCoefficients& coefficients : {ema, nesterov, ema}) {
      step(coefficients);
      CHECK(kept.is_valid());
      CHECK(same_bits(momentum, other_momentum));
      CHECK(same_bits(weights, other_weights));
    }
    // They are used: of a momentum that changed behind them they are wrong until they are forgotten.
    if (shape.rows == 1) continue;
    momentum.row(0).array() += 1;
    other_momentum = momentum;
    const Matrix<Scalar> before = weights;
    step(ema);
    CHECK_FALSE(same_bits(weights, other_weights));
    weights = other_weights = before;
    momentum.row(0).array() += 1;
    other_momentum = momentum;
    kept.invalidate();
    step(ema);
    CHECK(same_bits(weights, other_weights));
  }
}

TEST_CASE("a momentum that leaves the normal numbers becomes zero, and a zero row does not move") {
  Matrix<float> w = Matrix<float>::Ones(2, 19), g = Matrix<float>::Zero(2, 19), m = g;
  m.row(0).setConstant(std::numeric_limits<float>::min());
  for (StepPair<float>& pair : step_pairs<float>(0)) {
    CAPTURE(pair.name);
    Matrix<float> weights = w, momentum = m;
    const Streams<float> streams{symopt::detail::BlockView<const float>(std::as_const(g)),
                                 symopt::detail::BlockView<float>(momentum),
                                 symopt::detail::BlockView<float>(weights)};
    CHECK(pair.fused(streams, {.beta = 0.5, .gradient_weight = 0.5, .step_size = 1}, Check::gradient));
    CHECK(momentum == Matrix<float>::Zero(2, 19));
    CHECK(weights == w);
  }
}

TEST_CASE_TEMPLATE("a gradient that is not finite is found wherever it is, and changes no bit", Scalar,
                   SYMOPT_TEST_SCALARS) {
  using Limits = std::numeric_limits<Scalar>;
  Random random(default_seed);
  for (const Shape shape : {Shape{3, 41}, Shape{900, 80}}) {
    const Matrix<Scalar> start = gaussian_block(shape, random).cast<Scalar>();
    for (const StepPair<Scalar>& pair : step_pairs<Scalar>(1e-8))
      for (const Scalar bad : {Limits::quiet_NaN(), Limits::infinity(), -Limits::infinity()})
        for (const Index place : {Index(0), Index(40), shape.rows * shape.cols - 1}) {
          CAPTURE(pair.name);
          Matrix<Scalar> weights = start, momentum = start, gradient = start;
          weights(0, 1) = Limits::denorm_min();
          const Matrix<Scalar> weights_before = weights;
          gradient.data()[place] = bad;
          const Streams<Scalar> streams{symopt::detail::BlockView<const Scalar>(std::as_const(gradient)),
                                        symopt::detail::BlockView<Scalar>(momentum),
                                        symopt::detail::BlockView<Scalar>(weights)};
          CHECK_FALSE(pair.fused(streams, ema, Check::gradient));
          CHECK(same_bits(weights, weights_before));
          CHECK(same_bits(momentum, start));
          CHECK(pair.fused(streams, ema, Check::nothing));
          CHECK((std::isinf(bad) && pair.name == "sign") != !weights.allFinite());
        }
  }
}

TEST_CASE("the largest finite gradients pass the check") {
  for (const StepPair<float>& pair : step_pairs<float>(1e-8)) {
    CAPTURE(pair.name);
    Matrix<float> weights = Matrix<float>::Zero(2, 20), momentum = weights, gradient = weights;
    gradient.setConstant(std::numeric_limits<float>::max());
    gradient.row(1) *= -1;
    const Streams<float> streams{symopt::detail::BlockView<const float>(std::as_const(gradient)),
                                 symopt::detail::BlockView<float>(momentum),
                                 symopt::detail::BlockView<float>(weights)};
    CHECK(pair.fused(streams, ema, Check::gradient));
    if (pair.is_scale_free) CHECK(weights.allFinite());
  }
}

TEST_CASE_TEMPLATE("fused AdamW agrees with its reference at every width", Scalar, SYMOPT_TEST_SCALARS) {
  CAPTURE(default_seed);
  const kernel::AdamWCoefficients own{.first_correction = 3, .second_correction = 7};
  for (Index cols = 1; cols <= 70; ++cols)
    for (const double scale : {1e-12, 1.0, 1e12}) {
      const Shape shape{3, cols};
      const StepCoefficients coefficients = cols % 2 == 0 ? ema : clipped(ema);
      Random random(default_seed);
      Fenced<Scalar> w(shape, 2), g(shape, 1), m(shape, 0), v(shape, 0), w1(shape, 0), m1(shape, 0),
          v1(shape, 0);
      const Matrix<double> start = gaussian_block(shape, random);
      for (Fenced<Scalar>* block : {&w, &w1, &m, &m1}) block->assign(start);
      for (Fenced<Scalar>* block : {&v, &v1}) block->assign(scale * scale * start.cwiseAbs2());
      g.assign(scale * gaussian_block(shape, random));
      const Streams<Scalar> streams{symopt::detail::BlockView<const Scalar>(g.view()), m.view(), w.view()};
      CHECK(kernel::AdamWStep::run(streams, v.view(), coefficients, own, Check::gradient));
      kernel::reference::adamw_step<Scalar>(g.view(), m1.view(), v1.view(), w1.view(), coefficients, own);
      const double unit = 8 * double(std::numeric_limits<Scalar>::epsilon());
      CHECK(relative_error(m.values(), m1.values()) <= unit);
      CHECK(relative_error(v.values(), v1.values()) <= unit);
      CHECK(relative_error(w.values(), w1.values()) <= unit);
      CHECK(w.is_intact());
      CHECK(m.is_intact());
      CHECK(v.is_intact());
    }
}

/// Roots of mean squares as a kernel has them, of lines or of entries.
template <class Scalar, bool is_entrywise>
struct Roots {
  Roots(const std::vector<double>& start, Shape shape) : numbers(start), entries(shape, 0) {
    for (Index k = 0; is_entrywise && k < shape.rows * shape.cols; ++k)
      entries.view().row(k / shape.cols)[k % shape.cols] =
          static_cast<Scalar>(start[static_cast<std::size_t>(k)]);
  }
  auto lines() {
    if constexpr (is_entrywise) {
      return entries.view();
    } else {
      return numbers.data();
    }
  }
  double at(Index k, Index cols) {
    return is_entrywise ? double(entries.view().row(k / cols)[k % cols])
                        : numbers[static_cast<std::size_t>(k)];
  }
  std::vector<double> numbers;
  Fenced<Scalar> entries;
};

/// The largest error of a step with second moments, in units of roundoff, as error_of has them.
template <class Step, bool is_entrywise, class Scalar>
double adaptive_error(Shape shape, double scale, const StepCoefficients& coefficients, Index lines,
                      auto&& line_of, auto&& project, bool gradient_is_transposed) {
  Random random(default_seed);
  const kernel::AdamWCoefficients own{
      .beta2 = 0.9, .second_weight = 0.1, .first_correction = 3, .second_correction = 2, .eps = 1e-3 * scale};
  Fenced<Scalar> w(shape, 2), g(shape, 1, gradient_is_transposed), m(shape, 0), w1(shape, 0), m1(shape, 0);
  Matrix<double> start = gaussian_block(shape, random);
  for (Fenced<Scalar>* block : {&w, &w1}) block->assign(start);
  for (Fenced<Scalar>* block : {&m, &m1}) block->assign(scale * start);
  g.assign(scale * gaussian_block(shape, random));
  std::vector<double> expected(static_cast<std::size_t>(lines));
  for (double& root : expected)
    root = double(Scalar(scale * std::uniform_real_distribution<double>(0.5, 2)(random)));
  expected[0] = 0;
  Roots<Scalar, is_entrywise> roots(expected, shape);
  typename Step::template Memory<Scalar> memory(
      shape, kernel::ScratchOptions{.decay_is_horizontal = coefficients.decay_is_horizontal});
  const Streams<Scalar> streams{symopt::detail::BlockView<const Scalar>(g.view()), m.view(), w.view()};
  REQUIRE(Step::template run<Scalar>(streams, roots.lines(), coefficients, own, Check::gradient, memory));
  const Matrix<double> before = w1.values();
  kernel::reference::adaptive_step<Scalar>(g.view(), m1.view(), w1.view(), expected, line_of, coefficients,
                                           own, project);
  const double unit = double(std::numeric_limits<Scalar>::epsilon());
  const double reach = (w1.values() - before).cwiseAbs().maxCoeff();
  Worst worst;
  worst.add((w.values() - w1.values()).cwiseAbs().maxCoeff() /
            (unit * (before.cwiseAbs().maxCoeff() + reach)));
  worst.add((m.values() - m1.values()).cwiseAbs().maxCoeff() /
            (unit * (m1.values().cwiseAbs().maxCoeff() + g.values().cwiseAbs().maxCoeff())));
  for (Index k = 0; k < lines; ++k)
    worst.add(std::abs(roots.at(k, shape.cols) - expected[static_cast<std::size_t>(k)]) /
              (unit * expected[static_cast<std::size_t>(k)]));
  CHECK(w.is_intact());
  CHECK(m.is_intact());
  CHECK(roots.entries.is_intact());
  return worst.value();
}

/// Of all of them.
template <class Scalar>
void check_adaptive(Shape shape, double scale, const StepCoefficients& given, bool is_transposed = false) {
  CAPTURE(default_seed);
  CAPTURE(symopt::to_string(shape));
  CAPTURE(scale);
  // Doubles are added up in doubles, whose roundings go a random walk.
  const double size = double(shape.rows * shape.cols);
  const double most = tolerance + (sizeof(Scalar) == 8 ? std::sqrt(size) / 40 : 0);
  namespace plain = kernel::reference;
  const auto of_row = [](Index i, Index) { return i; };
  const auto of_column = [](Index, Index j) { return j; };
  const auto of_entry = [cols = shape.cols](Index i, Index j) { return i * cols + j; };
  const auto of_block = [](Index, Index) { return 0; };
  const auto nothing = [](plain::Block&) {};
  const auto mean_column = [](plain::Block& x) {
    for (Index i = 0; i < x.rows; ++i) {
      double sum = 0;
      for (Index j = 0; j < x.cols; ++j) sum += x.at(i, j);
      for (Index j = 0; j < x.cols; ++j) x.at(i, j) -= sum / double(x.cols);
    }
  };
  const auto error = [&]<class Step, bool is_entrywise = false>(
      std::type_identity<Step>, const StepCoefficients& coefficients, Index lines, auto&& line_of,
      auto&& project, std::bool_constant<is_entrywise> = {}) {
    return adaptive_error<Step, is_entrywise, Scalar>(shape, scale, coefficients, lines, line_of, project,
                                                      is_transposed);
  };
  using namespace kernel;
  using std::type_identity;
  CHECK(error(type_identity<AdaptiveRowsStep>{}, given, shape.rows, of_row, nothing) <= most);
  CHECK(error(type_identity<AdaptiveColumnsStep<false>>{}, given, shape.cols, of_column, nothing) <=
        tolerance);
  CHECK(error(type_identity<AdaptiveBlockStep>{}, given, 1, of_block, nothing) <= most);
  CHECK(error(type_identity<AdaptiveEntriesStep>{}, given, shape.rows * shape.cols, of_entry, nothing,
              std::true_type{}) <= most);
  for (const bool is_horizontal : {false, true}) {
    StepCoefficients coefficients = given;
    coefficients.decay_is_horizontal = is_horizontal;
    CHECK(error(type_identity<CentredAdaptiveRowsStep>{}, coefficients, shape.rows, of_row,
                [](plain::Block& x) { plain::subtract_mean_row(x); }) <= most);
    CHECK(error(type_identity<AdaptiveColumnsStep<true>>{}, coefficients, shape.cols, of_column,
                mean_column) <= most);
  }
}

TEST_CASE_TEMPLATE("steps with second moments agree with their reference at every width", Scalar,
                   SYMOPT_TEST_SCALARS) {
  for (Index cols = 2; cols <= 70; ++cols)
    check_adaptive<Scalar>({cols % 3 == 0 ? 13 : 4, cols}, 1, cols % 2 == 0 ? ema : clipped(ema),
                           cols % 5 == 0);
  for (const double scale : {1e-30, 1e-12, 1e12, 1e30, 1e36}) check_adaptive<Scalar>({13, 37}, scale, ema);
  for (const Shape shape : {Shape{300, 333}, Shape{2100, 70}, Shape{2, 40000}, Shape{5000, 9}})
    check_adaptive<Scalar>(shape, 1, ema);
}

TEST_CASE("second moments of doubles whose squares are out of range") {
  for (const double scale : {1e-290, 1e-160, 1e160, 1e290}) check_adaptive<double>({13, 37}, scale, ema);
}

/// Weights and momentum after a step, on weights and gradients that lie in parts or are selected rows.
template <class Scalar>
std::pair<Matrix<double>, Matrix<double>> after(const StepPair<Scalar>& pair,
                                                const symopt::detail::BlockView<Scalar>& weights,
                                                const symopt::detail::BlockView<Scalar>& gradient) {
  Matrix<Scalar> momentum = Matrix<Scalar>::Zero(weights.row_count(), weights.cols.size);
  const Streams<Scalar> streams{symopt::detail::BlockView<const Scalar>(gradient),
                                symopt::detail::BlockView<Scalar>(momentum), weights};
  CHECK(pair.fused(streams, nesterov, Check::gradient));
  Matrix<double> copy(weights.row_count(), weights.cols.size);
  for (Index i = 0; i < copy.rows(); ++i)
    for (Index j = 0; j < copy.cols(); ++j)
      copy(i, j) = static_cast<double>(weights.row(i)[weights.cols.offset(j)]);
  return {copy, as_double(momentum)};
}

TEST_CASE(
    "rows in two parts and selected rows give what a plain copy of them gives, and nothing else is written") {
  CAPTURE(default_seed);
  // Parts long enough to be worked on as they lie, and short ones.
  for (const Index width : {Index(7), Index(70), Index(130)})
    for (const StepPair<float>& pair : step_pairs<float>(1e-8)) {
      CAPTURE(pair.name);
      CAPTURE(width);
      Random random(default_seed);
      const Matrix<float> w = gaussian_block({12, width}, random).cast<float>();
      const Matrix<float> g = gaussian_block({12, width}, random).cast<float>();
      Matrix<float> parts_w = w, parts_g = g;
      const auto pairs = [&](Matrix<float>& block) {
        return symopt::detail::BlockView<float>(block.data(), {6, width}, {2 * width, 1, 2, 6 * width});
      };
      const auto [weights, momentum] = after(pair, pairs(parts_w), pairs(parts_g));
      Matrix<float> plain_w(6, 2 * width), plain_g(6, 2 * width);
      plain_w << w.topRows(6), w.bottomRows(6);
      plain_g << g.topRows(6), g.bottomRows(6);
      const auto [expected, expected_momentum] =
          after(pair, symopt::detail::BlockView<float>(plain_w), symopt::detail::BlockView<float>(plain_g));
      CHECK(relative_error(weights, expected) <= 4 * roundoff<float>);
      CHECK(same_bits(momentum, expected_momentum));

      const std::vector<Index> rows{0, 3, 4, 11};
      Matrix<float> some_w = w, some_g = g;
      const auto selected = [&](Matrix<float>& block) {
        symopt::detail::BlockView<float> view(block);
        view.selected_rows = rows.data();
        view.selected_count = 4;
        return view;
      };
      const auto [chosen, chosen_momentum] = after(pair, selected(some_w), selected(some_g));
      Matrix<float> four_w(4, width), four_g(4, width);
      for (Index k = 0; k < 4; ++k) {
        four_w.row(k) = w.row(rows[static_cast<std::size_t>(k)]);
        four_g.row(k) = g.row(rows[static_cast<std::size_t>(k)]);
      }
      const auto [four, four_momentum] =
          after(pair, symopt::detail::BlockView<float>(four_w), symopt::detail::BlockView<float>(four_g));
      CHECK(same_bits(chosen, four));
      CHECK(same_bits(chosen_momentum, four_momentum));
      for (const Index i : {1, 2, 5, 6, 7, 8, 9, 10}) CHECK(same_bits(some_w.row(i), w.row(i)));
    }
}

}}  // namespace kernel_steps_test
