// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "support/state_rules.hpp"

#include <symopt/frame/frame_average.hpp>
#include <symopt/symopt.hpp>

#include <cstdint>
#include <list>
#include <numeric>
#include <string>
#include <vector>

// The optimizers whose states tests/data holds as version 0.1 wrote them. Their numbers are counted, not
// drawn from the standard library's distributions, so that they are the same everywhere.
namespace symopt_test {

/// Numbers of a few bits between -1 and 1, each as good as drawn.
class CountedNumbers {
 public:
  explicit CountedNumbers(std::uint32_t start) : state_(start) {}
  float next() {
    state_ = state_ * 1664525U + 1013904223U;
    return static_cast<float>(static_cast<std::int32_t>(state_ >> 20) - 2048) / 2048.0F;
  }
  template <class Numbers>
  void fill(Numbers& numbers) {
    for (auto* x = numbers.data(); x != numbers.data() + numbers.size(); ++x)
      *x = static_cast<std::remove_reference_t<decltype(*x)>>(next());
  }

 private:
  std::uint32_t state_;
};

/// A stack with every kind of state: momenta of several rules, in layouts, under masks and transposed,
/// moments, and states of rules of one's own.
class StackOf01 {
 public:
  symopt::LayerwiseOptimizer optimizer;

  StackOf01() {
    using namespace symopt;
    using Hybrid = Update<SwigluInput, Then<RowNorm, DualNorm<FrobeniusNorm>>>;
    const OptimizerOptions usual{
        .learning_rate = 0.05, .momentum = 0.9, .nesterov = true, .weight_decay = 0.1};
    OptimizerOptions horizontal = usual;
    horizontal.decay = Decay::horizontal;
    horizontal.momentum_convention = MomentumConvention::heavy_ball;
    const OptimizerOptions adamw{.learning_rate = 0.01, .weight_decay = 0.1};
    add<AdamW>("norm", {7}, adamw, {}, {}, {.beta2 = 0.99});
    add<AdamW>("bias columns", {3, 5}, adamw, layout::transposed());
    add<Embedding>("embedding", {6, 4}, usual, {}, RowMask({true, false, true, true, false, true}));
    add<LmHead>("head", {6, 4}, horizontal, {}, RowMask::first(5), {RowNorm{.eps = 1e-6}});
    add<LmHead>("head columns", {4, 6}, usual, layout::transposed());
    add<Hybrid>("gate_up", {2, 6, 4}, usual,
                layout::experts(layout::gate_up(GateUp::interleaved, Neurons::paired)));
    add<SwigluOutput>("down", {2, 3, 4}, usual, layout::experts(layout::transposed()));
    add<HiddenMatrix>("query", {4, 6}, {.learning_rate = 0.05, .scale = Scale::match_rms},
                      layout::row_heads(2));
    add<Update<HiddenMatrix, DualNorm<FrobeniusNorm>>>("dual", {3, 3}, usual, {}, {}, {{.alpha = 0.5}});
    add<VisitedLion>("visited", {3, 4}, adamw, layout::transposed());
    add<AdaptedSum>("adapted", {2, 3}, adamw, {}, {}, {.decay = 0.25});
    add<LateSum>("sized late", {2, 3}, adamw);
    optimizer.set_schedule_factor(0.75);
  }

  void steps(int count) {
    for (int step = 0; step < count; ++step) {
      for (Tensor& tensor : tensors_) numbers_.fill(tensor.gradient);
      optimizer.step();
    }
  }
  std::vector<float> weights() const {
    std::vector<float> all;
    for (const Tensor& tensor : tensors_) all.insert(all.end(), tensor.weights.begin(), tensor.weights.end());
    return all;
  }
  /// The weights and the numbers to come of another one, whose state is loaded.
  void go_on_like(const StackOf01& other) {
    numbers_ = other.numbers_;
    auto from = other.tensors_.begin();
    for (Tensor& tensor : tensors_) std::ranges::copy((from++)->weights, tensor.weights.begin());
  }

 private:
  struct Tensor {
    std::vector<float> weights, gradient;
  };

  template <class ClassOrRule>
  void add(const char* name, const std::vector<Index>& sizes, const symopt::OptimizerOptions& options,
           const symopt::Layout& layout = {}, const symopt::RowMask& mask = {},
           const symopt::detail::role_rule_t<ClassOrRule>& rule = {}) {
    const auto count =
        static_cast<std::size_t>(std::accumulate(sizes.begin(), sizes.end(), Index{1}, std::multiplies<>()));
    Tensor& tensor = tensors_.emplace_back();
    tensor.weights.resize(count);
    tensor.gradient.resize(count);
    numbers_.fill(tensor.weights);
    optimizer.add<ClassOrRule>(name, symopt::TensorView<float>(tensor.weights.data(), sizes),
                               symopt::TensorView<const float>(tensor.gradient.data(), sizes), options,
                               layout, mask, rule);
  }

  std::list<Tensor> tensors_;
  CountedNumbers numbers_{2605};
};

/// One block in double under a rule, its weights column-major.
template <class Rule>
class BlockOf01 {
 public:
  symopt::Optimizer<Rule, double> optimizer;

  explicit BlockOf01(const symopt::OptimizerOptions& options) : optimizer(5, 4, options) {
    numbers_.fill(weights_);
  }

  void steps(int count) {
    Matrix<double> gradient(5, 4);
    for (int step = 0; step < count; ++step) {
      numbers_.fill(gradient);
      optimizer.step(weights_, gradient);
    }
  }
  std::vector<double> weights() const { return {weights_.data(), weights_.data() + weights_.size()}; }
  void go_on_like(const BlockOf01& other) {
    numbers_ = other.numbers_;
    weights_ = other.weights_;
  }

 private:
  Eigen::MatrixXd weights_{5, 4};
  CountedNumbers numbers_{18106};
};

inline BlockOf01<symopt::Update<symopt::LmHead>> head_of_0_1() {
  return BlockOf01<symopt::Update<symopt::LmHead>>(
      {.learning_rate = 0.1, .weight_decay = 0.1, .parameter = "head"});
}
inline BlockOf01<symopt::FrameAveraged<symopt::Embedding, symopt::AdamW>> average_of_0_1() {
  return BlockOf01<symopt::FrameAveraged<symopt::Embedding, symopt::AdamW>>({.learning_rate = 0.1});
}

/// Steps before the states were saved.
inline constexpr int steps_of_0_1 = 3;

}  // namespace symopt_test
