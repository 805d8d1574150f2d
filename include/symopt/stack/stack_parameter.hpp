// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/kernel/all_finite.hpp>
#include <symopt/kernel/threads.hpp>
#include <symopt/normalization/sign.hpp>
#include <symopt/parameter/blocks.hpp>
#include <symopt/parameter/row_mask.hpp>
#include <symopt/stack/plan.hpp>
#include <symopt/stack/text.hpp>
#include <symopt/stack/work_memory.hpp>
#include <symopt/update/block_step.hpp>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

// The parameters of a LayerwiseOptimizer: StackParameter hides the rule's type.
namespace symopt::inline SYMOPT_ABI::detail {

/// One named parameter: views of the trainer's memory, taken apart by a layout. What does not depend on the
/// rule.
template <class Scalar>
class StackParameter {
 public:
  StackParameter(std::shared_ptr<WorkMemory> work, OptimizerOptions options, Layout layout, RowMask mask,
                 bool takes_vectors, const TensorView<Scalar>& weights)
      : work_(std::move(work)),
        options_(std::move(options)),
        layout_(std::move(layout)),
        mask_(std::move(mask)),
        takes_vectors_(takes_vectors),
        weights_tensor_(weights),
        weights_(split(weights)) {
    for (const BlockView<Scalar>& block : weights_) {
      mask_.validate(name(), block.rows);
      shapes_.push_back(shape_of(mask_.existing(block)));
    }
  }
  virtual ~StackParameter() = default;
  StackParameter(const StackParameter&) = delete;
  StackParameter& operator=(const StackParameter&) = delete;

  const std::string& name() const { return options_.parameter; }
  const OptimizerOptions& options() const { return options_; }
  const TensorView<Scalar>& weights_tensor() const { return weights_tensor_; }
  bool has_gradient() const { return !gradient_.empty() || weights_.empty(); }

  /// From now on the gradient is read there; from nowhere without one.
  void set_gradient(const std::optional<TensorView<const Scalar>>& gradient) {
    if (!gradient) {
      gradient_.clear();
      return;
    }
    if (gradient->sizes() != weights_tensor_.sizes())
      throw std::invalid_argument("symopt: parameter '" + name() + "': the gradient is " +
                                  gradient->to_string() + " but the weights are " +
                                  weights_tensor_.to_string() + "; give both in one shape");
    gradient_ = split(*gradient);
  }

  /// The weights lie elsewhere now, in the same shape and strides.
  void set_weights(const TensorView<Scalar>& weights) {
    if (weights.sizes() != weights_tensor_.sizes() || weights.strides() != weights_tensor_.strides())
      throw std::invalid_argument("symopt: parameter '" + name() + "': the weights are " +
                                  weights.to_string() + " but were " + weights_tensor_.to_string() +
                                  ", or have other strides; add it as a new parameter");
    weights_ = split(weights);
    weights_tensor_ = weights;
  }

  void set_learning_rate(double rate) {
    OptimizerOptions changed = options_;
    changed.learning_rate = rate;
    validate(changed);
    options_.learning_rate = rate;
  }

  bool gradient_is_finite() const {
    return std::all_of(gradient_.begin(), gradient_.end(), [&](const BlockView<const Scalar>& block) {
      return kernel::all_finite<Scalar>(mask_.existing(block));
    });
  }

  virtual void set_row_mask(RowMask mask) = 0;
  /// Changes the weights at learning rate times `schedule_factor`. Only with a gradient.
  virtual void step(double schedule_factor) = 0;

  PlanRow plan_row() const {
    std::ostringstream scale;
    scale << to_string(options_.scale);
    if (options_.scale != Scale::none && !shapes_.empty())
      scale << " " << scale_factor(options_.scale, shapes_.front());
    const std::string masked = mask_.is_all() ? "" : ", " + mask_.to_string();
    return {.name = name(),
            .shape = weights_tensor_.to_string(),
            .layout = to_string(layout_) + masked,
            .blocks = blocks_text(),
            .group = group_text_of_rule(),
            .rule = rule_text_of_rule(),
            .method = shapes_.empty() ? "" : method_text_of_rule(shapes_.front()),
            .scale = scale.str(),
            .rate = options_.learning_rate};
  }

 protected:
  virtual std::string group_text_of_rule() const = 0;
  virtual std::string rule_text_of_rule() const = 0;
  virtual std::string method_text_of_rule(Shape shape) const = 0;

  /// The factors of a step on block b.
  StepFactors factors(std::size_t b, double schedule_factor) const {
    const double rate = options_.learning_rate * schedule_factor;
    return {rate * options_.weight_decay, rate * scale_factor(options_.scale, shapes_[b])};
  }

  /// Memory to work in, one for each block. Block b has that of slot b % slots.
  template <class Memory>
  std::vector<std::shared_ptr<Memory>> work_memory(std::size_t slots = 1) const {
    std::vector<std::shared_ptr<Memory>> memory;
    for (const Shape shape : shapes_)
      memory.push_back(work_->template of<Memory>(shape, options_, memory.size() % slots));
    return memory;
  }

  std::shared_ptr<WorkMemory> work_;
  OptimizerOptions options_;
  Layout layout_;
  RowMask mask_;
  bool takes_vectors_;  // a tensor of one dimension, or none, is a block of one row
  TensorView<Scalar> weights_tensor_;
  std::vector<BlockView<Scalar>> weights_;
  std::vector<BlockView<const Scalar>> gradient_;
  std::vector<Shape> shapes_;  // of each block's existing rows

 private:
  template <class S>
  std::vector<BlockView<S>> split(const TensorView<S>& tensor) const {
    if (takes_vectors_ && tensor.dimensions() == 0) return {BlockView<S>(tensor.data(), {1}, {1})};
    if (takes_vectors_ && tensor.dimensions() == 1) {
      if (layout_ != Layout{} || !mask_.is_all())
        throw std::invalid_argument("symopt: parameter '" + name() + "' of shape " + tensor.to_string() +
                                    ": a tensor of one dimension is one block of one row; leave its " +
                                    (mask_.is_all() ? "layout out" : "row mask out"));
      return {BlockView<S>(tensor.data(), {1, tensor.sizes()[0]}, {tensor.sizes()[0], tensor.strides()[0]})};
    }
    return blocks_of(tensor, layout_, name());
  }

  std::string blocks_text() const {
    std::string text;
    for (std::size_t begin = 0; begin < shapes_.size();) {
      std::size_t end = begin;
      while (end < shapes_.size() && shapes_[end] == shapes_[begin]) ++end;
      text += (begin == 0 ? "" : ", ") + std::to_string(end - begin) + " of " + to_string(shapes_[begin]);
      begin = end;
    }
    return text.empty() ? "none" : text;
  }
};

template <class Rule, class Scalar>
class RuleOfParameter : public StackParameter<Scalar> {
 public:
  RuleOfParameter(const Rule& rule, auto&&... binding)
      : StackParameter<Scalar>(std::forward<decltype(binding)>(binding)...), rule_(rule) {
    validate_for_rule<Rule, Scalar>(this->options_);
    try {
      validated(rule_);
    } catch (const std::invalid_argument& error) {
      std::string_view what = error.what();  // of the rule, which does not know whose it is
      if (what.starts_with("symopt: ")) what.remove_prefix(8);
      throw std::invalid_argument("symopt: parameter '" + this->name() + "': " + std::string(what));
    }
  }

 protected:
  std::string group_text_of_rule() const override { return rule_group_text<Rule>(); }
  std::string rule_text_of_rule() const override { return rule_text(rule_); }
  std::string method_text_of_rule(Shape shape) const override { return method_text(rule_, shape); }

  Rule rule_;
};

/// A parameter under a rule that maps the momentum. Where the blocks run along columns the work is done on
/// their transposes, with the mirrored rule: `Map` and `Projection` are those of the frame.
template <class Rule, class Map, class Projection, class Scalar, bool is_transposed>
class MappedParameter final : public RuleOfParameter<Rule, Scalar> {
 public:
  MappedParameter(const Rule& rule, Map map, auto&&... binding)
      : RuleOfParameter<Rule, Scalar>(rule, std::forward<decltype(binding)>(binding)...),
        map_(std::move(map)) {
    for (const BlockView<Scalar>& block : this->weights_)
      momentum_.emplace_back(block.rows.size * block.cols.size);
    take_memory();
  }

  void set_row_mask(RowMask mask) override {
    std::vector<Shape> shapes;
    for (const BlockView<Scalar>& block : this->weights_) {
      mask.validate(this->name(), block.rows);
      shapes.push_back(shape_of(mask.existing(block)));
    }
    if (is_transposed && !mask.is_prefix())
      throw std::invalid_argument(
          "symopt: parameter '" + this->name() +
          "': its rows lie side by side in memory, where a mask of scattered rows has to "
          "be given when the parameter is added");
    this->mask_ = std::move(mask);
    this->shapes_ = std::move(shapes);
    take_memory();
  }

  /// Small blocks step side by side, each slot its own, every other one after another: a large block's own
  /// loops are shared by the threads. A block's step has the same bits either way.
  void step(double schedule_factor) override {
    kernel::parallel_for(static_cast<Index>(slots_), [&](Index slot) {
      for (std::size_t b = static_cast<std::size_t>(slot); b < this->weights_.size(); b += slots_)
        step_block(map_, Projection{}, this->options_, this->factors(b, schedule_factor),
                   framed(this->weights_[b]), framed(this->gradient_[b]), framed(momentum_of(b)),
                   *memory_[b]);
    });
  }

 private:
  /// Up to here a block is too little work to be shared, in entries times the shorter edge.
  static constexpr double small_block = 64e6;

  void take_memory() {
    const bool are_small = std::all_of(this->shapes_.begin(), this->shapes_.end(), [](const Shape shape) {
      return static_cast<double>(shape.rows) * static_cast<double>(shape.cols) *
                 static_cast<double>(std::min(shape.rows, shape.cols)) <=
             small_block;
    });
    slots_ = are_small ? std::clamp<std::size_t>(this->shapes_.size(), 1,
                                                 static_cast<std::size_t>(kernel::thread_count()))
                       : 1;
    memory_ = this->template work_memory<StepMemory<Rule, Scalar>>(slots_);
  }

  template <class S>
  BlockView<S> framed(const BlockView<S>& block) const {
    const BlockView<S> existing = this->mask_.existing(block);
    if constexpr (is_transposed) {
      return existing.transposed();
    } else {
      return existing;
    }
  }

  BlockView<Scalar> momentum_of(std::size_t b) {
    const Index rows = this->weights_[b].rows.size;
    const Index cols = this->weights_[b].cols.size;
    Scalar* data = momentum_[b].as({rows, cols}).data();
    if constexpr (is_transposed) {
      return {data, {rows, 1}, {cols, rows}};
    } else {
      return {data, {rows, cols}, {cols, 1}};
    }
  }

  Map map_;
  std::size_t slots_ = 1;
  std::vector<kernel::Buffer<Scalar>> momentum_;
  std::vector<std::shared_ptr<StepMemory<Rule, Scalar>>> memory_;
};

/// A parameter under a rule with a state of its own, one for each block.
template <class Rule, class Scalar>
class StatefulParameter final : public RuleOfParameter<Rule, Scalar> {
 public:
  explicit StatefulParameter(const Rule& rule, auto&&... binding)
      : RuleOfParameter<Rule, Scalar>(rule, std::forward<decltype(binding)>(binding)...) {
    for (const Shape shape : this->shapes_)
      states_.push_back(make_state<typename Rule::template State<Scalar>>(shape));
    memory_ = this->template work_memory<StepMemory<Rule, Scalar>>();
    if (may_lack_view()) gathered_ = this->template work_memory<Gathered>();
  }

  void set_row_mask(RowMask) override {
    throw std::invalid_argument("symopt: parameter '" + this->name() +
                                "': a rule with a state of its own keeps the rows that it was added with");
  }

  void step(double schedule_factor) override {
    for (std::size_t b = 0; b < this->weights_.size(); ++b) {
      const BlockView<Scalar> weights = this->mask_.existing(this->weights_[b]);
      const BlockView<const Scalar> gradient = this->mask_.existing(this->gradient_[b]);
      StepMemory<Rule, Scalar>& memory = *memory_[b];
      MatrixRef<Scalar> direction = memory.direction.as(shape_of(weights));
      call_rule(b, weights, gradient, direction);
      apply_direction(projection_of_t<Rule>{}, this->options_.decay, this->factors(b, schedule_factor),
                      weights, direction, memory);
    }
  }

 private:
  struct Gathered {
    Gathered(Shape shape, const OptimizerOptions&)
        : weights(shape.rows, shape.cols), gradient(shape.rows, shape.cols) {}
    Matrix<Scalar> weights;
    Matrix<Scalar> gradient;
  };

  /// True when weights or gradient can be without a view, whichever way they lie in memory.
  bool may_lack_view() const {
    const auto pairs_neurons = [](const Layout::Step& step) {
      const auto* pair = std::get_if<layout_step::GateUpRows>(&step);
      return pair != nullptr && pair->neurons == Neurons::paired;
    };
    return !this->mask_.is_prefix() || std::ranges::any_of(this->layout_.steps, pairs_neurons);
  }

  template <class S>
  static bool has_view(const BlockView<S>& block) {
    return block.selected_rows == nullptr && block.rows.parts == 1 && block.cols.parts == 1;
  }
  template <class Stride, class S>
  static auto view(const BlockView<S>& block, Stride stride) {
    return Eigen::Map<const Matrix<Scalar>, 0, Stride>(block.data, block.rows.size, block.cols.size, stride);
  }
  static const Matrix<Scalar>& gather(const BlockView<const Scalar>& block, Matrix<Scalar>& copy) {
    for_each_segment(block, [&](Index i, Index j, const auto& segment) {
      copy.row(i).segment(j, segment.size()) = segment;
    });
    return copy;
  }

  void call_rule(std::size_t b, const BlockView<Scalar>& weights, const BlockView<const Scalar>& gradient,
                 MatrixRef<Scalar>& direction) {
    auto& state = states_[b];
    if (!has_view(weights) || !has_view(gradient)) {
      Gathered& copy = *gathered_[b];
      this->rule_(gather(weights, copy.weights), gather(gradient, copy.gradient), state, direction);
    } else if (weights.has_contiguous_rows() && gradient.has_contiguous_rows()) {
      using Stride = Eigen::OuterStride<>;
      this->rule_(view(weights, Stride(weights.rows.stride)), view(gradient, Stride(gradient.rows.stride)),
                  state, direction);
    } else {
      using Stride = Eigen::Stride<Eigen::Dynamic, Eigen::Dynamic>;
      this->rule_(view(weights, Stride(weights.rows.stride, weights.cols.stride)),
                  view(gradient, Stride(gradient.rows.stride, gradient.cols.stride)), state, direction);
    }
  }

  std::vector<typename Rule::template State<Scalar>> states_;
  std::vector<std::shared_ptr<StepMemory<Rule, Scalar>>> memory_;
  std::vector<std::shared_ptr<Gathered>> gathered_;  // empty where every block has a view
};

/// True for rules that treat every entry alike, and so may be given a tensor of one dimension.
template <class Rule>
constexpr bool acts_entrywise() {
  if constexpr (StatesLargestGroup<Rule>) {
    return claimed_families<Rule> == claimed_families<Sign>;
  } else {
    return false;
  }
}

/// True when the blocks run along columns in memory, so that the work is done on their transposes.
template <class Scalar>
bool runs_along_columns(const TensorView<Scalar>& weights, const Layout& layout, const RowMask& mask,
                        const std::string& parameter) {
  if (!mask.is_prefix()) return false;
  const auto blocks = blocks_of(weights, layout, parameter);
  return !blocks.empty() && std::abs(blocks.front().rows.stride) < std::abs(blocks.front().cols.stride) &&
         blocks.front().cols.size > 1;
}

template <class Rule, class Scalar>
std::unique_ptr<StackParameter<Scalar>> make_parameter(const Rule& rule,
                                                       const std::shared_ptr<WorkMemory>& work,
                                                       OptimizerOptions options, Layout layout, RowMask mask,
                                                       const TensorView<Scalar>& weights) {
  constexpr bool takes_vectors = acts_entrywise<Rule>();
  const bool is_vector = takes_vectors && weights.dimensions() <= 1;
  if constexpr (StatefulRule<Rule, Scalar>) {
    return std::make_unique<StatefulParameter<Rule, Scalar>>(
        rule, work, std::move(options), std::move(layout), std::move(mask), takes_vectors, weights);
  } else if (is_vector || !runs_along_columns(weights, layout, mask, options.parameter)) {
    return std::make_unique<MappedParameter<Rule, Rule, projection_of_t<Rule>, Scalar, false>>(
        rule, rule, work, std::move(options), std::move(layout), std::move(mask), takes_vectors, weights);
  } else {
    auto mirrored = mirror(rule);
    using Mirrored = decltype(mirrored);
    using Projection = decltype(projection_of_t<Rule>{}.mirrored());
    return std::make_unique<MappedParameter<Rule, Mirrored, Projection, Scalar, true>>(
        rule, std::move(mirrored), work, std::move(options), std::move(layout), std::move(mask),
        takes_vectors, weights);
  }
}

}  // namespace symopt::detail
