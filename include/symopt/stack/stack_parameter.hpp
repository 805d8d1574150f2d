// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/kernel/all_finite.hpp>
#include <symopt/kernel/threads.hpp>
#include <symopt/normalization/scale_free.hpp>
#include <symopt/normalization/sign.hpp>
#include <symopt/parameter/blocks.hpp>
#include <symopt/parameter/row_mask.hpp>
#include <symopt/stack/blocks_copy.hpp>
#include <symopt/stack/plan.hpp>
#include <symopt/stack/rule_options.hpp>
#include <symopt/stack/scaled_gradient.hpp>
#include <symopt/stack/state_table.hpp>
#include <symopt/update/rule_text.hpp>
#include <symopt/stack/work_memory.hpp>
#include <symopt/update/block_step.hpp>
#include <symopt/update/rule_may_throw.hpp>
#include <symopt/update/state_step.hpp>

#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstdlib>
#include <memory>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

// The parameters of a LayerwiseOptimizer: StackParameter hides the rule's type.
namespace symopt { inline namespace SYMOPT_ABI { namespace detail {

template <class Scalar>
class ParameterProbe;

/// True when a block runs along columns in memory, so that the work is done on its transpose.
template <class Scalar>
bool runs_along_columns(const BlockView<Scalar>& block) {
  return std::abs(block.rows.stride) < std::abs(block.cols.stride) && block.cols.size > 1 &&
         block.selected_rows == nullptr;
}

/// One named parameter: views of the trainer's memory, taken apart by a layout. What does not depend on the
/// rule.
template <class Scalar>
class StackParameter {
  friend class ParameterProbe<Scalar>;

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
  bool has_gradient() const { return !gradient_.empty() || !half_gradient_.empty() || weights_.empty(); }

  /// From now on the gradient is read there; from nowhere without one.
  void set_gradient(const std::optional<TensorView<const Scalar>>& gradient) {
    std::vector<BlockView<const Scalar>> blocks;
    if (gradient) blocks = split_like_weights("gradient", *gradient);
    gradient_ = std::move(blocks);
    half_gradient_.clear();
  }
  void set_gradient(const TensorView<const bfloat16>& gradient) requires std::same_as<Scalar, float> {
    half_gradient_ = split_like_weights("gradient", gradient);
    gradient_.clear();
  }

  /// From now on a step writes the weights there too, rounded to bfloat16; stochastically with a seed.
  void set_copy(const TensorView<bfloat16>& copy,
                std::optional<std::uint64_t> seed) requires std::same_as<Scalar, float> {
    copy_ = split_like_weights("copy", copy);
    copy_seed_ = seed;
  }
  void stop_copying() { copy_.clear(); }

  /// The number of the step to come, of which stochastic rounding depends.
  void set_step(std::int64_t step) { step_ = step; }

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
    for (std::size_t b = 0; b < std::max(gradient_.size(), half_gradient_.size()); ++b)
      if (!kernel::all_finite(gradient_view_of(b))) return false;
    return true;
  }

  /// What is saved of it. The fields point into it.
  SavedParameter saved() {
    SavedParameter saved{.name = name(),
                         .sizes = weights_tensor_.sizes(),
                         .scalar = dtype_of<Scalar>(),
                         .layout = to_string(layout_),
                         .rows = mask_.signature(),
                         .group = group_text_of_rule(),
                         .rule = rule_text_of_rule(),
                         .rule_options = rule_options_text_of_rule(),
                         .options = options_};
    describe_state(saved);
    return saved;
  }

  /// The Frobenius norm of all blocks of the gradient.
  double gradient_norm() const {
    double norm = 0;
    const auto add = [&](const auto& blocks) {
      for (const auto& block : blocks)
        for_each_segment(mask_.existing(block), [&](Index, Index, const auto& segment) {
          double largest = 0;
          for (Index k = 0; k < segment.size(); ++k)
            largest = std::max(largest, std::abs(as_double(segment.coeff(k))));
          if (!(largest > 0)) return;  // a NaN is found by the check of the step
          double sum = 0;
          for (Index k = 0; k < segment.size(); ++k) {
            const double part = as_double(segment.coeff(k)) / largest;
            sum += part * part;
          }
          norm = std::hypot(norm, largest * std::sqrt(sum));
        });
    };
    add(gradient_);
    add(half_gradient_);
    return norm;
  }

  /// Multiplies the gradient in the next step.
  void set_gradient_factor(double factor) { gradient_factor_ = factor; }
  /// True when the rule does not see how long a gradient is.
  virtual bool is_scale_free() const = 0;
  /// The families of the group under which the rule maps momenta; none for a rule without a group or with a
  /// state of its own.
  virtual std::optional<Families> families_of_update() const = 0;

  virtual void set_row_mask(RowMask mask) = 0;

  /// Changes the weights at learning rate times `schedule_factor`. Only with a gradient.
  void step(double schedule_factor) {
    if (gradient_factor_ == 1) return step_along(schedule_factor);
    if (half_gradient_.empty()) {
      const Exchanged<Slopes> scaled(gradient_, scaled_gradient_.of(gradient_, mask_, gradient_factor_));
      step_along(schedule_factor);
    } else {
      const Exchanged<Slopes> scaled(gradient_, scaled_gradient_.of(half_gradient_, mask_, gradient_factor_));
      const Exchanged<std::vector<BlockView<const bfloat16>>> none(half_gradient_, {});
      step_along(schedule_factor);
    }
  }

  /// True when the rule may throw in a step. Such a parameter is remembered first, to be restored.
  virtual bool may_throw() const = 0;
  virtual void remember() {
    weights_copy_.take(existing(weights_));
    half_copy_.take(existing(copy_));
  }
  virtual void restore() {
    weights_copy_.put_back(existing(weights_));
    half_copy_.put_back(existing(copy_));
  }
  /// Gives the memory of the copies back.
  virtual void forget() {
    weights_copy_ = {};
    half_copy_ = {};
  }

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
  /// The step along the gradient that the blocks are views of.
  virtual void step_along(double schedule_factor) = 0;
  virtual std::string group_text_of_rule() const = 0;
  virtual std::string rule_text_of_rule() const = 0;
  virtual std::string rule_options_text_of_rule() const = 0;
  /// Adds the fields of the state.
  virtual void describe_state(SavedParameter& saved) = 0;

  template <class S>
  std::vector<BlockView<S>> existing(const std::vector<BlockView<S>>& blocks) const {
    std::vector<BlockView<S>> rows;
    for (const BlockView<S>& block : blocks) rows.push_back(mask_.existing(block));
    return rows;
  }
  virtual std::string method_text_of_rule(Shape shape) const = 0;

  /// The factors of a step on block b.
  StepFactors factors(std::size_t b, double schedule_factor) const {
    const double rate = options_.learning_rate * schedule_factor;
    return {rate * options_.weight_decay, rate * scale_factor(options_.scale, shapes_[b])};
  }

  /// The memory of block b, its existing rows.
  kernel::GradientView<Scalar> gradient_view_of(std::size_t b) const {
    if constexpr (std::same_as<Scalar, float>)
      if (!half_gradient_.empty()) return {mask_.existing(half_gradient_[b])};
    return {mask_.existing(gradient_[b])};
  }
  kernel::WeightsView<Scalar> weights_view_of(std::size_t b) const {
    const BlockView<Scalar> weights = mask_.existing(weights_[b]);
    if constexpr (std::same_as<Scalar, float>)
      if (!copy_.empty()) {
        kernel::Rounder rounder;
        if (copy_seed_)
          rounder = {Rounding::stochastic,
                     kernel::RandomKey::of(*copy_seed_, name(), b, static_cast<std::uint64_t>(step_))};
        return {weights, mask_.existing(copy_[b]), rounder};
      }
    return {weights};
  }

  /// Memory to work in, one for each block; in its frame, which may be the transposed one. Block b has that
  /// of slot b % slots.
  template <class Memory>
  std::vector<std::shared_ptr<Memory>> work_memory(bool is_transposed = false, std::size_t slots = 1) const {
    std::vector<std::shared_ptr<Memory>> memory;
    for (const Shape shape : shapes_)
      memory.push_back(work_->template of<Memory>(is_transposed ? transposed(shape) : shape,
                                                  scratch_options(options_), memory.size() % slots));
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
  double gradient_factor_ = 1;
  ScaledGradient<Scalar> scaled_gradient_;
  BlocksCopy<Scalar> weights_copy_;  // of the step before, where the rule may throw

 private:
  using Slopes = std::vector<BlockView<const Scalar>>;

  /// Other blocks in the place of the gradient's, as long as it lives.
  template <class Blocks>
  class Exchanged {
   public:
    Exchanged(Blocks& place, Blocks blocks) : place_(place), own_(std::exchange(place, std::move(blocks))) {}
    ~Exchanged() { place_.swap(own_); }
    Exchanged(const Exchanged&) = delete;
    Exchanged& operator=(const Exchanged&) = delete;

   private:
    Blocks& place_;
    Blocks own_;
  };

  template <class S>
  std::vector<BlockView<S>> split_like_weights(const char* what, const TensorView<S>& tensor) const {
    if (tensor.sizes() != weights_tensor_.sizes())
      throw std::invalid_argument("symopt: parameter '" + name() + "': the " + what + " is " +
                                  tensor.to_string() + " but the weights are " + weights_tensor_.to_string() +
                                  "; give both in one shape");
    return split(tensor);
  }

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

  std::vector<BlockView<const bfloat16>> half_gradient_;  // instead of gradient_
  std::vector<BlockView<bfloat16>> copy_;                 // empty without one
  BlocksCopy<bfloat16> half_copy_;                        // of copy_, as weights_copy_
  std::optional<std::uint64_t> copy_seed_;
  std::int64_t step_ = 0;
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
  std::string rule_options_text_of_rule() const override { return rule_options_text(rule_); }
  bool may_throw() const override { return rule_may_throw<Rule, Scalar>; }
  bool is_scale_free() const override { return is_scale_free_rule<Rule>(); }
  std::optional<Families> families_of_update() const override {
    if constexpr (StatefulRule<Rule, Scalar>) {
      return std::nullopt;
    } else if constexpr (requires { typename Rule::group; }) {
      return families_of<typename Rule::group>;
    } else if constexpr (StatesLargestGroup<Rule>) {
      return claimed_families<Rule>;
    } else {
      return Families{};
    }
  }
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
    for (const BlockView<Scalar>& block : this->weights_) {
      const Shape shape{block.rows.size, block.cols.size};
      momentum_.emplace_back(shape.rows * shape.cols);
      momentum_sums_.emplace_back(
          momentum_sums_count<Map, Projection>(is_transposed ? transposed(shape) : shape));
    }
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
    forget_sums();
    take_memory();
  }

  /// Small blocks step side by side, each slot its own, every other one after another: a large block's own
  /// loops are shared by the threads. A block's step has the same bits either way.
  void step_along(double schedule_factor) override {
    kernel::parallel_for(static_cast<Index>(slots_), [&](Index slot) {
      for (std::size_t b = static_cast<std::size_t>(slot); b < this->weights_.size(); b += slots_) {
        const kernel::Streams<Scalar> streams{framed(this->gradient_view_of(b)),
                                              framed(this->mask_.existing(momentum_of(b))),
                                              framed(this->weights_view_of(b)), &momentum_sums_[b]};
        step_block<Projection>(map_, step_coefficients(this->options_, this->factors(b, schedule_factor)),
                               kernel::Check::nothing, streams, *memory_[b]);
      }
    });
  }

 private:
  using Memory = StepMemory<Map, Projection, Scalar>;

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
    memory_ = this->template work_memory<Memory>(is_transposed, slots_);
  }

  template <class Block>
  static Block framed(const Block& block) {
    if constexpr (is_transposed) {
      return block.transposed();
    } else {
      return block;
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

  void remember() override {
    RuleOfParameter<Rule, Scalar>::remember();
    momentum_copy_ = momentum_;
  }
  void restore() override {
    RuleOfParameter<Rule, Scalar>::restore();
    momentum_ = momentum_copy_;
    forget_sums();
  }
  void forget() override {
    RuleOfParameter<Rule, Scalar>::forget();
    momentum_copy_ = {};
  }

  void forget_sums() {
    for (kernel::MomentumSums& sums : momentum_sums_) sums.forget();
  }

  void describe_state(SavedParameter& saved) override {
    forget_sums();  // what is described may be loaded
    for (std::size_t b = 0; b < momentum_.size(); ++b) {
      const BlockView<Scalar> momentum = momentum_of(b);
      saved.fields.push_back({.name = std::to_string(b) + "/momentum",
                              .dtype = dtype_of<Scalar>(),
                              .scalar_size = sizeof(Scalar),
                              .shape = {momentum.rows.size, momentum.cols.size},
                              .strides = {momentum.rows.stride, momentum.cols.stride},
                              .data = momentum.data});
    }
  }

  Map map_;
  std::size_t slots_ = 1;
  std::vector<kernel::Buffer<Scalar>> momentum_;
  std::vector<kernel::MomentumSums> momentum_sums_;
  std::vector<kernel::Buffer<Scalar>> momentum_copy_;  // as weights_copy_
  std::vector<std::shared_ptr<Memory>> memory_;
};

/// A parameter under a rule with a state of its own, one for each block.
template <class Rule, class Scalar>
class StatefulParameter final : public RuleOfParameter<Rule, Scalar> {
 public:
  explicit StatefulParameter(const Rule& rule, auto&&... binding)
      : RuleOfParameter<Rule, Scalar>(rule, std::forward<decltype(binding)>(binding)...) {
    for (const Shape shape : this->shapes_)
      states_.push_back(make_state<typename Rule::template State<Scalar>>(shape));
    memory_ = this->template work_memory<StateMemory<Rule, Scalar>>();
    if (!HasFusedState<Rule, Scalar> && may_lack_view()) gathered_ = this->template work_memory<Gathered>();
  }

  void set_row_mask(RowMask) override {
    throw std::invalid_argument("symopt: parameter '" + this->name() +
                                "': a rule with a state of its own keeps the rows that it was added with");
  }

  void step_along(double schedule_factor) override {
    for (std::size_t b = 0; b < this->weights_.size(); ++b) {
      const kernel::GradientView<Scalar> gradient = this->gradient_view_of(b);
      const kernel::WeightsView<Scalar> weights = this->weights_view_of(b);
      const kernel::StepCoefficients coefficients = step_coefficients(this->options_, this->factors(b, schedule_factor));
      if constexpr (HasFusedState<Rule, Scalar>) {
        const bool is_transposed = runs_along_columns(this->mask_.existing(this->weights_[b]));
        this->rule_.fused_step(is_transposed ? gradient.transposed() : gradient,
                               is_transposed ? weights.transposed() : weights, is_transposed, states_[b],
                               coefficients, kernel::Check::nothing);
      } else {
        StateMemory<Rule, Scalar>& memory = *memory_[b];
        MatrixRef<Scalar> direction = memory.direction.as(weights.shape());
        call_rule(b, direction);
        move_along<projection_of_t<Rule>>(gradient, weights, coefficients, direction, memory);
      }
    }
  }

 private:
  using State = typename Rule::template State<Scalar>;

  struct Gathered {
    Gathered(Shape shape, kernel::ScratchOptions)
        : weights(shape.rows, shape.cols), gradient(shape.rows, shape.cols) {}
    Matrix<Scalar> weights;
    Matrix<Scalar> gradient;
  };

  /// True when weights or gradient can be without a view, whichever way they lie in memory.
  bool may_lack_view() const {
    const auto pairs_neurons = [](const Layout::Step& step) {
      return step.kind == Layout::Kind::gate_up && step.neurons == Neurons::paired;
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
  static const Matrix<Scalar>& gather(const auto& memory, Matrix<Scalar>& copy) {
    for (Index i = 0; i < copy.rows(); ++i)
      for (Index j = 0; j < copy.cols(); ++j) copy(i, j) = memory.at(i, j);
    return copy;
  }

  void call_rule(std::size_t b, MatrixRef<Scalar>& direction) {
    auto& state = states_[b];
    const BlockView<Scalar> weights = this->mask_.existing(this->weights_[b]);
    const BlockView<const Scalar> gradient =
        this->gradient_.empty() ? BlockView<const Scalar>() : this->mask_.existing(this->gradient_[b]);
    if (this->gradient_.empty() || !has_view(weights) || !has_view(gradient)) {
      if (gathered_.empty()) gathered_ = this->template work_memory<Gathered>();  // for a bfloat16 gradient
      Gathered& copy = *gathered_[b];
      this->rule_(gather(this->weights_view_of(b), copy.weights),
                  gather(this->gradient_view_of(b), copy.gradient), state, direction);
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

  void describe_state(SavedParameter& saved) override { describe_states(std::span(states_), saved); }

  void remember() override {
    RuleOfParameter<Rule, Scalar>::remember();
    if constexpr (std::copyable<State>) states_copy_ = states_;
  }
  void restore() override {
    RuleOfParameter<Rule, Scalar>::restore();
    if constexpr (std::copyable<State>) states_ = states_copy_;
  }
  void forget() override {
    RuleOfParameter<Rule, Scalar>::forget();
    states_copy_ = {};
  }

  std::vector<State> states_;
  std::vector<State> states_copy_;  // as weights_copy_
  std::vector<std::shared_ptr<StateMemory<Rule, Scalar>>> memory_;
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
  return !blocks.empty() && runs_along_columns(blocks.front());
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

}}}  // namespace symopt::detail
