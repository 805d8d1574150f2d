// SPDX-License-Identifier: Apache-2.0
// Twin runs: one from the weights W with gradients G, the other from g W with g G. They must stay related by
// g.
#include "support/any_group.hpp"
#include "support/group_list.hpp"

#include <symopt/symopt.hpp>

#include <doctest/doctest.h>

#include <functional>
#include <memory>

namespace {

using namespace symopt;
using namespace symopt_test;

constexpr Shape shape{9, 6};
constexpr int steps = 20;

/// An optimizer without its type; blocks come and go in double.
struct AnyOptimizer {
  virtual ~AnyOptimizer() = default;
  virtual void step(const Matrix<double>& gradient) = 0;
  virtual Matrix<double> weights() const = 0;
};

template <class Rule, class Scalar>
struct TypedOptimizer final : AnyOptimizer {
  TypedOptimizer(const Matrix<double>& start, const OptimizerOptions& options)
      : block(start.cast<Scalar>()), optimizer(start.rows(), start.cols(), options) {}
  void step(const Matrix<double>& gradient) override {
    const Matrix<Scalar> given = gradient.cast<Scalar>();
    optimizer.step(block, given);
  }
  Matrix<double> weights() const override { return as_double(block); }

  Matrix<Scalar> block;
  Optimizer<Rule, Scalar> optimizer;
};

using Make =
    std::function<std::unique_ptr<AnyOptimizer>(const Matrix<double>& start, const OptimizerOptions&)>;

template <class Rule, class Scalar>
Make make() {
  return [](const Matrix<double>& start, const OptimizerOptions& options) -> std::unique_ptr<AnyOptimizer> {
    return std::make_unique<TypedOptimizer<Rule, Scalar>>(start, options);
  };
}

/// The largest distance between g W and the twin's weights over all steps, for random elements and
/// generators.
double twin_error(const AnyGroup& group, const Make& make, const OptimizerOptions& options) {
  Random random(default_seed);
  Worst worst;
  for (const auto& g : sample_elements(group, shape, random, 2)) {
    const Matrix<double> start = gaussian_block(shape, random);
    const auto one = make(start, options);
    const auto twin = make(group.on_weights(g, start), options);
    for (int step = 0; step < steps; ++step) {
      const Matrix<double> gradient = gaussian_block(shape, random);
      one->step(gradient);
      twin->step(group.on_gradient(g, gradient));
      worst.add(relative_error(twin->weights(), group.on_weights(g, one->weights())));
    }
  }
  return worst.value();
}

std::vector<OptimizerOptions> options_for(const AnyGroup& group) {
  const bool has_shift = group.families().left.translations || group.families().right.translations;
  const Decay decay = has_shift ? Decay::horizontal : Decay::all;
  return {
      {.learning_rate = 0.1},
      {.learning_rate = 0.1, .nesterov = true, .weight_decay = 0.1, .decay = decay, .scale = Scale::aspect},
      {.learning_rate = 0.1, .momentum_convention = MomentumConvention::heavy_ball}};
}

void check_twins(const AnyGroup& group, const Make& make, double tolerance) {
  CAPTURE(group.name());
  CAPTURE(default_seed);
  for (const OptimizerOptions& options : options_for(group)) {
    INFO(options);
    CHECK(twin_error(group, make, options) <= tolerance);
  }
}

TEST_CASE_TEMPLATE_DEFINE("runs from starts related by the group stay related", G, trajectories) {
  check_twins(ErasedGroup<G, double>(), make<Update<G>, double>(), 1e-10);
}
using Groups =
    join_t<NamedGroups, std::tuple<Product<HeadRotations<Side::left, 3>, RightOrthogonal>,
                                   Product<RowPermutation, ColumnPermutation, SharedShift, ColumnShift>,
                                   Product<CyclicRows, RightOrthogonal, SharedShift>>>;
TEST_CASE_TEMPLATE_APPLY(trajectories, Groups);

TEST_CASE("runs in float stay related up to rounding") {
  check_twins(ErasedGroup<LmHead, double>(), make<Update<LmHead>, float>(), 1e-4);
  check_twins(ErasedGroup<HiddenMatrix, double>(), make<Update<HiddenMatrix>, float>(), 1e-3);
}

TEST_CASE("hybrids of a head stay related") {
  using Hybrid = Then<RowNorm, DualNorm<Spectral<>>>;
  using Other = Then<DualNorm<LeftSpectral<>>, RowNorm>;
  check_twins(ErasedGroup<LmHead, double>(), make<Update<LmHead, Hybrid>, double>(), 1e-10);
  check_twins(ErasedGroup<Router, double>(), make<Update<Router, Other>, double>(), 1e-10);
}

TEST_CASE("AdamW stays related under permutations, and parts under rotations") {
  CAPTURE(default_seed);
  const OptimizerOptions options{.learning_rate = 0.1};
  const Make adamw = make<AdamW, double>();
  CHECK(twin_error(ErasedGroup<RowPermutation, double>(), adamw, options) <= 1e-12);
  CHECK(twin_error(ErasedGroup<Embedding, double>(), adamw, options) > 1e-2);
  CHECK(twin_error(ErasedGroup<HiddenMatrix, double>(), adamw, options) > 1e-2);
}

TEST_CASE("plain decay parts twins that differ by a shift") {
  CAPTURE(default_seed);
  const OptimizerOptions options{.learning_rate = 0.1, .weight_decay = 0.1};
  CHECK(twin_error(ErasedGroup<LmHead, double>(), make<Update<LmHead>, double>(), options) > 1e-2);
}

}  // namespace
