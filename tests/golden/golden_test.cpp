// SPDX-License-Identifier: Apache-2.0
// Replays published trajectories through the public API, in both storage orders.
#include "golden/trajectories.hpp"

namespace golden_test { namespace {

/// The largest difference of a replay from the file, relative to the largest weight; NaN counts as Inf.
/// The block is kept in storage order `order`.
template <class Scalar, int order, class Rule>
double replay(const Trajectory& run, const OptimizerOptions& options, const Rule& rule) {
  using Block = Eigen::Matrix<Scalar, Eigen::Dynamic, Eigen::Dynamic, order>;
  Optimizer<Rule, Scalar> optimizer(run.shape().rows, run.shape().cols, options, rule);
  Block weights = run.matrix(run.weights.front()).template cast<Scalar>();
  double worst = 0;
  for (std::size_t t = 0; t < run.gradients.size(); ++t) {
    const Block gradient = run.matrix(run.gradients[t]).template cast<Scalar>();
    optimizer.step(weights, gradient);
    const Matrix<double> expected = run.matrix(run.weights[t + 1]);
    const double error =
        (weights.template cast<double>() - expected).cwiseAbs().maxCoeff() / expected.cwiseAbs().maxCoeff();
    worst = error <= worst ? worst : error;
    if (!(error <= worst)) return std::numeric_limits<double>::infinity();
  }
  return worst;
}

/// A tensor of the file in memory whose last dimension, or whose first, runs fastest.
template <class Scalar>
class StoredTensor {
 public:
  StoredTensor(const std::vector<Index>& sizes, bool first_runs_fastest) : sizes_(sizes), strides_(sizes) {
    Index stride = 1;
    for (std::size_t i = 0; i < sizes.size(); ++i) {
      const std::size_t d = first_runs_fastest ? i : sizes.size() - 1 - i;
      strides_[d] = std::exchange(stride, stride * sizes[d]);
    }
    memory_.resize(static_cast<std::size_t>(stride));
  }

  TensorView<Scalar> view() { return TensorView<Scalar>(memory_.data(), sizes_, strides_); }

  /// Calls visit(number of the row-major order, element).
  void for_each(auto visit) {
    for (std::size_t i = 0; i < memory_.size(); ++i) {
      Index rest = static_cast<Index>(i), offset = 0;
      for (std::size_t d = sizes_.size(); d-- > 0; rest /= sizes_[d])
        offset += (rest % sizes_[d]) * strides_[d];
      visit(i, memory_[static_cast<std::size_t>(offset)]);
    }
  }
  void assign(const std::vector<double>& values) {
    for_each([&](std::size_t i, Scalar& element) { element = static_cast<Scalar>(values[i]); });
  }

 private:
  std::vector<Index> sizes_, strides_;
  std::vector<Scalar> memory_;
};

/// The replay through a stack, with the tensor taken apart by `layout`.
template <class Scalar, class Rule>
double replay_layout(const Trajectory& run, const OptimizerOptions& options, const Layout& layout,
                     const Rule& rule, bool first_runs_fastest) {
  StoredTensor<Scalar> weights(run.sizes, first_runs_fastest), gradient(run.sizes, first_runs_fastest);
  weights.assign(run.weights.front());
  BasicLayerwiseOptimizer<Scalar> stack;
  stack.template add<Rule>("block", weights.view(), gradient.view(), options, layout, {}, rule);
  double worst = 0;
  for (std::size_t t = 0; t < run.gradients.size(); ++t) {
    gradient.assign(run.gradients[t]);
    stack.step();
    const std::vector<double>& expected = run.weights[t + 1];
    double largest = 0, difference = 0;
    weights.for_each([&](std::size_t i, Scalar element) {
      const double error = std::abs(static_cast<double>(element) - expected[i]);
      difference = error <= difference ? difference : error;
      if (std::isnan(error)) difference = std::numeric_limits<double>::infinity();
      largest = std::max(largest, std::abs(expected[i]));
    });
    worst = std::max(worst, difference / largest);
  }
  return worst;
}

/// Replays in both storage orders.
struct OnHost {
  static auto with_method(auto method) { return method; }

  template <class Rule>
  static Verdict whole(const Trajectory& run, const OptimizerOptions& options, const Rule& rule,
                       bool also_in_float = true) {
    Verdict verdict;
    verdict.in_double = std::max(replay<double, Eigen::RowMajor>(run, options, rule),
                                 replay<double, Eigen::ColMajor>(run, options, rule));
    if (also_in_float)
      verdict.in_float = std::max(replay<float, Eigen::RowMajor>(run, options, rule),
                                  replay<float, Eigen::ColMajor>(run, options, rule));
    return verdict;
  }

  template <class Rule>
  static Verdict laid_out(const Trajectory& run, const OptimizerOptions& options, const Layout& layout,
                          const Rule& rule) {
    Verdict verdict;
    for (const bool first_runs_fastest : {false, true}) {
      verdict.in_double =
          std::max(verdict.in_double, replay_layout<double>(run, options, layout, rule, first_runs_fastest));
      verdict.in_float =
          std::max(verdict.in_float, replay_layout<float>(run, options, layout, rule, first_runs_fastest));
    }
    return verdict;
  }
};

TEST_CASE("published trajectories replay to 1e-9 in double and 2e-5 in float") {
  replay_all<OnHost>();
}

}}  // namespace golden_test
