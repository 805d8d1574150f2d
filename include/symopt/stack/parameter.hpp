// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/kernel/all_finite.hpp>
#include <symopt/memory/blocks.hpp>
#include <symopt/optimizer/kept_weights.hpp>
#include <symopt/pair/pair_decay.hpp>
#include <symopt/stack/hidden_rule.hpp>
#include <symopt/stack/step_schedule.hpp>
#include <symopt/stack/stored_gradient.hpp>
#include <symopt/stack/stored_weights.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <numeric>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace symopt { inline namespace SYMOPT_ABI { namespace detail {

/// One named parameter of a stack: views of memory, taken apart by a layout, and blocks that step on them.
template <class Scalar>
class Parameter {
 public:
  /// Takes all memory that its steps need; none, where its blocks are held elsewhere or by hold().
  Parameter(HiddenRule<Scalar> rule, OptimizerOptions options, Layout layout, RowMask mask,
            WeightsTensors<Scalar> weights, std::shared_ptr<ScratchPool> pool, Holding holding)
      : rule_(std::move(rule)),
        options_(std::move(options)),
        layout_(std::move(layout)),
        mask_(std::move(mask)),
        pool_(std::move(pool)),
        tensors_(std::move(weights)),
        weights_(split(tensors_)),
        orientation_(orientation_of_blocks()),
        numbers_(weights_.count()) {
    std::iota(numbers_.begin(), numbers_.end(), std::size_t{0});
    if (holding == Holding::all) held_ = numbers_;
    take_blocks(mask_);
  }
  Parameter(const Parameter&) = delete;
  Parameter& operator=(const Parameter&) = delete;

  const std::string& name() const { return options_.parameter; }
  const OptimizerOptions& options() const { return options_; }
  const RuleFacts& facts() const { return facts_; }
  const HiddenRule<Scalar>& rule() const { return rule_; }
  const WeightsTensors<Scalar>& tensors() const { return tensors_; }
  const StoredWeights<Scalar>& weights() const { return weights_; }
  AnyBlocks<Scalar>& blocks() const { return *blocks_; }
  const std::shared_ptr<AnyBlocks<Scalar>>& shared_blocks() const { return blocks_; }
  const Layout& layout() const { return layout_; }
  const RowMask& mask() const { return mask_; }
  Orientation orientation() const { return orientation_; }
  const std::vector<Shape>& shapes() const { return shapes_; }
  const std::optional<double>& ratio() const { return ratio_; }
  std::size_t block_count() const { return shapes_.size(); }
  /// The factor of a scale on the direction of one of the blocks.
  double scale_factor(Scale scale, std::size_t block) const {
    return rule_.scale_factor(scale, shapes_[block]);
  }

  /// The blocks that have a state and step in this process: all, or some of a stack over several.
  const std::vector<std::size_t>& held() const { return held_; }
  /// Takes the state of these blocks, as new, and leaves that of all others.
  void hold(std::vector<std::size_t> numbers) {
    blocks_->hold(numbers);
    held_ = std::move(numbers);
  }

  bool has_gradient() const { return gradient_.addresses.has_value(); }
  /// One read of a gradient of a usual size, of which a step then makes use.
  bool gradient_is_finite() {
    const bool is_usual = stepped().pass(held_, mask_, kernel::is_usual<Scalar>);
    largest_gradient_ = is_usual ? usual_gradient<Scalar> : unbounded;
    return is_usual || stepped().pass(held_, mask_, kernel::all_finite<Scalar>);
  }
  /// The norm of the gradient of a held block, times `scale`.
  double gradient_norm(std::size_t b, double scale) const { return stepped().norm(b, mask_, scale); }
  /// The gradient as the trainer gave it.
  const StoredGradient<Scalar>& gradient() const { return gradient_; }
  bool given_gradient_is_finite() const {
    return gradient_.pass(numbers_, mask_, kernel::all_finite<Scalar>);
  }
  /// Sets what the held blocks step with in place of that: one view for each block.
  void set_average(std::vector<BlockView<const Scalar>> blocks) { average_.values = std::move(blocks); }

  /// Sets the memory that the gradient is read from; none for a parameter without a gradient.
  template <class Stored>
  void set_gradient(const std::optional<TensorView<const Stored>>& gradient) {
    gradient_ = stored_gradient(gradient);
  }
  /// The blocks of a tensor that could be the gradient. Errors: Error for another shape than the weights'.
  template <class Stored>
  StoredGradient<Scalar> stored_gradient(const std::optional<TensorView<const Stored>>& gradient) const {
    StoredGradient<Scalar> blocks;
    if (gradient) {
      require_shape_of(tensors_, name(), "gradient", *gradient);
      if constexpr (std::same_as<Stored, Scalar>) {
        blocks.values = split(*gradient);
      } else {
        blocks.bf16 = split(*gradient);
      }
      blocks.addresses.emplace(*gradient);
    }
    return blocks;
  }
  /// Sets the factor on the gradient in the next step.
  void set_gradient_factor(double factor) { gradient_factor_ = factor; }

  /// Sets the copy of the weights that a step writes too, rounded to bfloat16; none for no copy.
  void set_copy(const std::optional<TensorView<bfloat16>>& copy, std::optional<std::uint64_t> seed) {
    require(tensors_.values.has_value(), {name()}, "a copy in bfloat16 goes with weights in float");
    if (copy) require_shape_of(tensors_, name(), "copy", *copy);
    weights_.bf16 = copy ? split(*copy) : std::vector<BlockView<bfloat16>>();
    tensors_.bf16 = copy;
    tensors_.seed = seed;
  }

  /// Sets the memory of the weights, of the same shape and strides.
  void set_weights(WeightsTensors<Scalar> moved) {
    require_alike(name(), moved, tensors_);
    const bool is_bfloat16 = !moved.values && !moved.low;
    if (moved.values && !moved.bf16) {  // the copy stays where it is
      moved.bf16 = tensors_.bf16;
      moved.seed = tensors_.seed;
    } else if (is_bfloat16 && !moved.seed) {  // memory that moves is rounded as before
      moved.seed = tensors_.seed;
    }
    weights_ = split(moved);
    tensors_ = std::move(moved);
  }

  /// The options after set(options). Errors: of those that do not suit.
  OptimizerOptions changed(const auto& set) const {
    OptimizerOptions changed = options_;
    set(changed);
    rule_.validate(changed);
    return changed;
  }
  /// Changes options between steps. Errors: those of changed(); the old options stay.
  void change(const auto& set) {
    OptimizerOptions changed = this->changed(set);
    if (changed.learning_rate != options_.learning_rate) ratio_.reset();
    options_ = std::move(changed);
  }
  /// The rate is that of the stack times this; until it is set to another one.
  void set_ratio(double ratio) { ratio_ = ratio; }

  /// Sets the rows that exist. Errors: for a rule with a state of its own.
  void set_row_mask(RowMask mask) {
    require(!facts_.keeps_state, {name()},
            "a rule with a state of its own keeps the rows that it was added with");
    for (std::size_t b = 0; b < weights_.count(); ++b) mask.validate(name(), weights_.place(b).rows);
    require(orientation_ == Orientation::along_rows || mask.is_prefix(), {name()},
            "its rows lie side by side in memory, where a mask of scattered rows has to "
            "be given when the parameter is added");
    std::shared_ptr<void> momenta;
    blocks_->keep(momenta);
    take_blocks(mask);
    blocks_->put_back(momenta);
    mask_ = std::move(mask);
  }

  /// Adds the inputs of a step, one for each block, under options that may be others than the parameter's.
  /// `step` is the number that stochastic rounding depends on.
  void add_inputs(const OptimizerOptions& options, const StepSchedule& schedule, std::int64_t step,
                  std::vector<StepInput<Scalar>>& inputs) {
    const bool is_scaled = gradient_factor_ != 1;
    const bool is_copied =
        is_scaled && (!facts_.takes_factor || !is_normal(static_cast<Scalar>(gradient_factor_)));
    scaled_.clear();
    if (is_copied) scaled_.reserve(shapes_);
    for (const std::size_t b : held_) {
      const kernel::GradientView<Scalar> gradient = stepped().view(b, mask_);
      inputs.push_back({is_copied ? scaled_.added(gradient, gradient_factor_) : gradient,
                        weights_.view(b, mask_, rounder(b, step)),
                        schedule.coefficients(options, scale_factor(options.scale, b)),
                        kernel::Check::nothing, largest_gradient_});
      if (!is_copied) inputs.back().coefficients.gradient_factor = gradient_factor_;
    }
  }

  /// Throws Error unless all that a step under these options multiplies by is in range.
  void require_factors(const OptimizerOptions& options, const StepSchedule& schedule) const {
    if (rule_.side) require_pair_decay(options, schedule.factor * schedule.decay_factor);
    for (std::size_t b = 0; b < shapes_.size(); ++b)
      schedule.require_in_range<Scalar>(options, scale_factor(options.scale, b));
  }
  /// Before a step, and after gradient_is_finite() where that is to be checked: finds whether the step may
  /// leave the range. Errors: those of require_factors(). `inputs`, here and below, is memory to work in.
  void prepare(const StepSchedule& schedule, std::int64_t step, std::vector<StepInput<Scalar>>& inputs) {
    require_factors(options_, schedule);
    if (auto* views = blocks_->announce(has_gradient()))
      weights_.for_each_view(numbers_, mask_, [&](const auto& view) { views->push_back(view); });
    may_leave_range_ = false;
    if (options_.non_finite == NonFinite::unchecked) {
      largest_gradient_ = unbounded;
    } else if (has_gradient()) {
      inputs.clear();
      add_inputs(options_, schedule, step, inputs);
      may_leave_range_ = !blocks_->are_in_range(inputs);
    }
  }
  /// Tests whether the next step may fail, so that what it changes has to be kept.
  bool may_fail() const { return has_gradient() && !held_.empty() && (may_leave_range_ || facts_.may_throw); }

  /// One step; only with a gradient, and not without a check of it.
  void step(const StepSchedule& schedule, std::int64_t step, std::vector<StepInput<Scalar>>& inputs) {
    inputs.clear();
    add_inputs(options_, schedule, step, inputs);
    blocks_->step(inputs);
  }

  /// All that a step changes: kept, put back, and whether after a step it may not stand.
  ///@{
  void keep() {
    was_finite_ = !may_leave_range_ || is_finite();
    kept_weights_.clear();
    weights_.for_each_view(held_, mask_, [&](const auto& view) { kept_weights_.keep(view); });
    blocks_->keep(kept_);
  }
  void put_back() noexcept {
    std::size_t next = 0;
    weights_.for_each_view(held_, mask_,
                           [&](const auto& view) { next = kept_weights_.put_back(view, next); });
    blocks_->put_back(kept_);
  }
  bool has_left_range() const {
    return blocks_->has_refused() || (may_leave_range_ && was_finite_ && !is_finite());
  }
  ///@}

 private:
  /// Tests whether weights and states are finite.
  bool is_finite() const { return blocks_->is_finite() && weights_.are_finite(held_, mask_); }
  /// The gradient that the held blocks step with.
  const StoredGradient<Scalar>& stepped() const { return average_.count() > 0 ? average_ : gradient_; }

  /// The orientation of all blocks: along rows for a vector, and for a mask of scattered rows.
  Orientation orientation_of_blocks() const {
    const bool is_vector = rule_.acts_entrywise && tensors_.sizes().size() <= 1;
    if (is_vector || !mask_.is_prefix() || weights_.count() == 0) return Orientation::along_rows;
    return orientation_of(weights_.place(0));
  }

  /// New blocks, with memory of zeros. Nothing has changed where that throws.
  void take_blocks(const RowMask& mask) {
    BlocksPlan plan{.shapes = {},
                    .held = held_,
                    .rows = mask,
                    .orientation = orientation_,
                    .may_gather = !mask.is_prefix() || pairs_neurons(layout_),
                    .scratch = scratch_options(options_),
                    .pool = pool_};
    std::vector<Shape> existing;
    for (std::size_t b = 0; b < weights_.count(); ++b) {
      const BlockView<Scalar> place = weights_.place(b);
      mask.validate(name(), place.rows);
      plan.shapes.push_back(shape_of(place));
      existing.push_back(shape_of(mask.existing(place)));
    }
    std::shared_ptr<AnyBlocks<Scalar>> blocks = rule_.make_blocks(options_, plan);
    facts_ = blocks->facts();
    blocks_ = std::move(blocks);
    shapes_ = std::move(existing);
  }

  kernel::Rounder rounder(std::size_t b, std::int64_t step) const {
    if (!tensors_.seed) return {};
    return {Rounding::stochastic,
            kernel::RandomKey::of(*tensors_.seed, name(), b, static_cast<std::uint64_t>(step))};
  }

  template <class S>
  std::vector<BlockView<S>> split(const TensorView<S>& tensor) const {
    if (!rule_.acts_entrywise || tensor.dimensions() > 1) return blocks_of(tensor, layout_, name());
    const bool is_whole = tensor.dimensions() == 0 || (layout_ == Layout{} && mask_.is_all());
    require(is_whole, {name(), tensor.to_string()}, [&] {
      return std::string("a tensor of one dimension is one block of one row; leave its ") +
             (mask_.is_all() ? "layout out" : "row mask out");
    });
    return {row_of(tensor)};
  }
  StoredWeights<Scalar> split(const WeightsTensors<Scalar>& tensors) const {
    StoredWeights<Scalar> blocks;
    if (tensors.values) blocks.values = split(*tensors.values);
    if (tensors.bf16) blocks.bf16 = split(*tensors.bf16);
    if (tensors.low) blocks.low = split(*tensors.low);
    return blocks;
  }

  HiddenRule<Scalar> rule_;
  OptimizerOptions options_;
  Layout layout_;
  RowMask mask_;
  std::shared_ptr<ScratchPool> pool_;
  WeightsTensors<Scalar> tensors_;
  StoredWeights<Scalar> weights_;
  Orientation orientation_;
  std::vector<std::size_t> numbers_;  // of all blocks
  std::vector<std::size_t> held_;     // of those that step in this process
  std::vector<Shape> shapes_;         // of each block's rows that exist
  std::shared_ptr<AnyBlocks<Scalar>> blocks_;
  RuleFacts facts_{};
  StoredGradient<Scalar> gradient_, average_;
  double gradient_factor_ = 1;
  double largest_gradient_ = unbounded;  // what no entry exceeds, by the last look at it
  bool may_leave_range_ = false, was_finite_ = true;
  std::optional<double> ratio_;       // of the rate to the stack's, where it is taken from there
  ScaledGradient<Scalar> scaled_;     // where the rule cannot take the factor
  KeptWeights<Scalar> kept_weights_;  // of the step before, where the rule may throw
  std::shared_ptr<void> kept_;
};

}}}  // namespace symopt::detail
