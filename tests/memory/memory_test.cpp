// SPDX-License-Identifier: Apache-2.0
// The memory that docstrings state, measured: of an optimizer from its construction through its first steps,
// in either storage order, and of a stack.
#include "support/allocation_suite.hpp"

#include <symopt/group/named_groups.hpp>
#include <symopt/normalization/frobenius_norm.hpp>
#include <symopt/normalization/identity.hpp>
#include <symopt/normalization/sign.hpp>
#include <symopt/optimizer/adamw.hpp>
#include <symopt/optimizer/adaptive.hpp>
#include <symopt/stack/layerwise_optimizer.hpp>

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace memory_test { namespace {

using namespace symopt;
using namespace symopt_test;

/// The memory that a call allocates, in blocks of floats of that shape.
double blocks_allocated(Shape shape, const std::function<void()>& call) {
  const std::size_t before = allocated_bytes.load();
  call();
  return static_cast<double>(allocated_bytes.load() - before) /
         (static_cast<double>(shape.rows * shape.cols) * sizeof(float));
}

/// Of an optimizer, its construction and its first steps.
template <class Rule, int order>
double blocks_of(Shape shape, const OptimizerOptions& options, int steps = 2) {
  Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, order> weights(shape.rows, shape.cols);
  weights.setOnes();
  const auto gradient = weights;
  return blocks_allocated(shape, [&] {
    Optimizer<Rule> optimizer(shape.rows, shape.cols, options);
    for (int step = 0; step < steps; ++step) optimizer.step(weights, gradient);
  });
}

struct MostBlocks {
  double in_rows, in_columns;
};

template <class Rule>
void check_memory(Shape shape, double least, MostBlocks most, const OptimizerOptions& options = {}) {
  CAPTURE(symopt::to_string(shape));
  const double in_rows = blocks_of<Rule, Eigen::RowMajor>(shape, options);
  CHECK(in_rows >= least);
  CHECK(in_rows <= most.in_rows);
  const double in_columns = blocks_of<Rule, Eigen::ColMajor>(shape, options);
  CHECK(in_columns >= least);
  CHECK(in_columns <= most.in_columns);
}

// A head in column-major memory has no kernel: it takes a direction too.
TEST_CASE("rules with a kernel take the momentum and some lines, in either order") {
  for (const Shape shape : {Shape{3000, 256}, Shape{256, 1024}, Shape{900, 900}}) {
    check_memory<Update<Embedding>>(shape, 1, {1.1, 1.1});
    check_memory<Update<SwigluOutput>>(shape, 1, {1.1, 1.1});
    check_memory<Update<LmHead>>(shape, 1, {1.1, 2.1});
    check_memory<Update<LmHead>>(shape, 1, {1.1, 2.1}, {.weight_decay = 0.1});
    check_memory<FrobeniusNorm>(shape, 1, {1.1, 1.1});
    check_memory<Identity>(shape, 1, {1.1, 1.1});
    check_memory<Sign>(shape, 1, {1.1, 1.1});
    check_memory<AdamW>(shape, 2, {2.1, 2.1});
    check_memory<Adaptive<Trivial>>(shape, 2, {2.1, 2.1});
    check_memory<Adaptive<Embedding>>(shape, 1, {1.1, 1.1});
    check_memory<Adaptive<LmHead>>(shape, 1, {1.1, 1.1});
    check_memory<Adaptive<SwigluOutput>>(shape, 1, {1.1, 1.1});
    check_memory<Adaptive<LmHead, moments::Block>>(shape, 2, {2.1, 3.1});
  }
  CHECK(blocks_of<Update<LmHead>, Eigen::RowMajor>({50304, 768}, {}, 1) <= 1.1);
}

TEST_CASE("a rule without a kernel takes the momentum, a direction and the rule's workspace") {
  // The Gram matrix, second moments and what the polar method makes of them are as large as the shorter edge
  // squared: little here.
  check_memory<Update<HiddenMatrix>>({64, 20000}, 2, {2.4, 2.4});
  check_memory<Adaptive<HiddenMatrix>>({64, 20000}, 2, {2.4, 3.4});  // one of its own for columns
  check_memory<Update<LmHead, Identity>>({2000, 300}, 2, {2.1, 2.1});
}

TEST_CASE("a stack takes the momenta, and a direction and workspace for each rule and shape") {
  constexpr Shape shape{64, 20000};
  constexpr int count = 5;
  std::vector<Matrix<float>> weights(count, Matrix<float>::Ones(shape.rows, shape.cols));
  const Matrix<float> gradient = weights.front();
  const auto blocks = [&](const auto& add) {
    return blocks_allocated(shape, [&] {
      LayerwiseOptimizer stack;
      for (int p = 0; p < count; ++p) add(stack, std::to_string(p), weights[static_cast<std::size_t>(p)]);
      for (int step = 0; step < 2; ++step) stack.step();
    });
  };
  const double of_norms = blocks([&](auto& stack, const auto& name, auto& block) {
    stack.template add<Embedding>(name, block, gradient);
  });
  CHECK(of_norms >= count);
  CHECK(of_norms <= count + 0.1);
  const double of_polar_factors = blocks([&](auto& stack, const auto& name, auto& block) {
    stack.template add<HiddenMatrix>(name, block, gradient);
  });
  CHECK(of_polar_factors >= count + 1);
  CHECK(of_polar_factors <= count + 1.4);
}

}}  // namespace memory_test
