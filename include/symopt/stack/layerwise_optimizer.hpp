// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/error.hpp>
#include <symopt/matrix.hpp>
#include <symopt/stack/numbered_names.hpp>
#include <symopt/stack/option_changes.hpp>
#include <symopt/stack/pair_role.hpp>
#include <symopt/stack/parameter_list.hpp>
#include <symopt/stack/parameter_maker.hpp>
#include <symopt/stack/parameter_rows.hpp>
#include <symopt/stack/plan.hpp>
#include <symopt/stack/role.hpp>
#include <symopt/stack/routing.hpp>
#include <symopt/stack/stack_report.hpp>
#include <symopt/stack/stack_step.hpp>
#include <symopt/stack/step_schedule.hpp>
#include <symopt/stack/tensor_argument.hpp>

#include <algorithm>
#include <concepts>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace symopt { inline namespace SYMOPT_ABI {

/// One optimizer for each named parameter of a model: the layerwise stack of arXiv 2605.18106. Binds views of
/// the trainer's memory, and updates all of it in place.
///   LayerwiseOptimizer stack({.learning_rate = 1e-3, .weight_decay = 0.1});    AdamW's, for all
///   stack.add<LmHead>("head", head, head_gradient);
///   stack.route(parameters, gemma3({.query = 4, .key_value = 1}));    or all at once, by name
///   std::cout << stack.plan();
///   loop:  compute gradients;  stack.set_schedule_factor(...);  stack.step();
/// A step looks at all gradients before it moves any weight: a non-finite one leaves everything as it was.
/// A parameter without a gradient is left alone, decay included.
/// Rates: the stack's, in AdamW's units, or a parameter's own, times the one schedule factor.
/// Memory: the momenta, and one direction and workspace for each rule and shape of blocks; a step allocates
/// nothing, but for the first after memory was bound anew. Views are kept, so the trainer's memory must stay
/// where it is, or be given anew. Errors: std::invalid_argument that names the parameter and the remedy;
/// after one nothing has changed. Exceptions of a rule of your own are passed on, and nothing has changed
/// then either: rules that may throw go first, with a copy of weights and state. So do rules whose step may
/// leave the range of Scalar: those that state no bound on their direction, and any rule where gradients,
/// momentum or rate are huge. A step that has left the range is refused as one with an Inf is.
template <class Scalar>
class BasicLayerwiseOptimizer {
  static_assert(RealScalar<Scalar>, "symopt optimizes float and double blocks");

 public:
  using scalar_type = Scalar;  ///< of weights, gradients and momenta

  /// Moved, not copied: two stacks would update the same memory. The one that was moved from keeps its
  /// options and is otherwise as new: it may be used again.
  ///@{
  /// A stack whose parameters have these options unless they are given their own. Errors:
  /// std::invalid_argument for options out of range.
  explicit BasicLayerwiseOptimizer(StackOptions options) : options_(options) { validate(options_); }
  BasicLayerwiseOptimizer() = default;
  BasicLayerwiseOptimizer(BasicLayerwiseOptimizer&& other) noexcept
      : options_(other.options_),
        maker_(std::move(other.maker_)),
        parameters_(std::exchange(other.parameters_, {})),
        inputs_(std::move(other.inputs_)),
        schedule_(std::exchange(other.schedule_, {})),
        steps_(std::exchange(other.steps_, 0)) {}
  BasicLayerwiseOptimizer& operator=(BasicLayerwiseOptimizer&& other) noexcept {
    options_ = other.options_;
    maker_ = std::move(other.maker_);
    parameters_ = std::exchange(other.parameters_, {});
    inputs_ = std::move(other.inputs_);
    schedule_ = std::exchange(other.schedule_, {});
    steps_ = std::exchange(other.steps_, 0);
    return *this;
  }
  ///@}

  /// Adds a parameter: of a parameter class (LmHead, Router; any group) or under a rule (AdamW, Update<...>).
  /// weights, gradient: a TensorView, or an Eigen matrix, map or block in either storage order; both of one
  /// shape. Of a stack in float the gradient may be bfloat16, and the weights, as in Optimizer::step, memory
  /// of bfloat16, stochastic(weights, seed), split_weights(high, low) or with_copy(weights, copy). Errors: a
  /// name or memory that is already there, a layout or mask that does not fit, options out of range.
  /// Without options it has those of the stack, in AdamW's units; with options, these alone.
  ///@{
  template <class ClassOrRule, class Weights, class Gradient>
  void add(std::string name, Weights&& weights, Gradient&& gradient, OptimizerOptions options,
           Layout layout = {}, RowMask mask = {}, detail::role_rule_t<ClassOrRule> rule = {}) {
    add(std::move(name),
        role<ClassOrRule, Scalar>(std::move(options), std::move(layout), std::move(mask), std::move(rule)),
        std::forward<Weights>(weights), std::forward<Gradient>(gradient));
  }
  template <class ClassOrRule, class Weights, class Gradient>
  void add(std::string name, Weights&& weights, Gradient&& gradient, Layout layout = {}, RowMask mask = {},
           detail::role_rule_t<ClassOrRule> rule = {}) {
    add(std::move(name), role<ClassOrRule, Scalar>(std::move(layout), std::move(mask), std::move(rule)),
        std::forward<Weights>(weights), std::forward<Gradient>(gradient));
  }
  ///@}

  /// Adds a parameter in a role.
  template <class Weights, class Gradient>
  void add(std::string name, const BasicRole<Scalar>& role, Weights&& weights, Gradient&& gradient) {
    std::vector<Parameter> added;
    added.push_back(
        maker_.make(name, detail::weights_of<Scalar>(std::forward<Weights>(weights)), role, options_));
    maker_.bind_gradient(*added.back(), std::forward<Gradient>(gradient));
    insert(std::move(added));
  }

  /// Adds the tensors of a pair, A (m x r) and B (n x r) of which only A B^T matters: parameters `name`.a and
  /// `name`.b that step together. One stored as r x n has layout::transposed(), or comes as its transposed
  /// view; tensors that share a partner come as vectors of TensorView, and are `name`.a.0, `name`.a.1, ...
  /// Options and errors: those of add(), in AdamW's units for the product; blocks that are no pairs.
  ///@{
  template <class GroupOrRule, class A, class GradientA, class B, class GradientB>
  void add_pair(const std::string& name, A&& a, GradientA&& gradient_a, B&& b, GradientB&& gradient_b,
                OptimizerOptions options, PairLayout layout = {}, PairOptions pair = {},
                detail::pair_rule_t<GroupOrRule> rule = {}) {
    add_pair(name,
             pair_role<GroupOrRule, Scalar>(std::move(options), std::move(layout), pair, std::move(rule)), a,
             gradient_a, b, gradient_b);
  }
  template <class GroupOrRule, class A, class GradientA, class B, class GradientB>
  void add_pair(const std::string& name, A&& a, GradientA&& gradient_a, B&& b, GradientB&& gradient_b,
                PairLayout layout = {}, PairOptions pair = {}, detail::pair_rule_t<GroupOrRule> rule = {}) {
    add_pair(name, pair_role<GroupOrRule, Scalar>(std::move(layout), pair, std::move(rule)),
             std::forward<A>(a), std::forward<GradientA>(gradient_a), std::forward<B>(b),
             std::forward<GradientB>(gradient_b));
  }
  template <class A, class GradientA, class B, class GradientB>
  void add_pair(const std::string& name, const BasicPairRole<Scalar>& role, A&& a, GradientA&& gradient_a,
                B&& b, GradientB&& gradient_b) {
    insert(maker_.make_pair(name, role, options_, std::forward<A>(a), std::forward<GradientA>(gradient_a),
                            std::forward<B>(b), std::forward<GradientB>(gradient_b)));
  }
  ///@}

  /// Adds all these parameters in the roles that the routing finds for their names; all or none.
  void route(const std::vector<NamedTensor<Scalar>>& tensors, const BasicRouting<Scalar>& routing) {
    const auto routed = routing.roles_of(tensors);
    std::vector<Parameter> added;
    for (std::size_t i = 0; i < tensors.size(); ++i) {
      added.push_back(maker_.make(tensors[i].name, {.values = tensors[i].weights}, routed[i].role, options_));
      maker_.bind_gradient(*added.back(), tensors[i].gradient);
    }
    insert(std::move(added));
  }

  /// Takes a parameter away, its state with it. Errors: std::invalid_argument for a name that is not there.
  void remove(const std::string& name) { parameters_.remove(name); }

  /// One step of every parameter that has a gradient; not applied, and not counted, where none has. Errors:
  /// those of inspect(), and memory that overlaps. Where inspect() finds something to skip, the whole
  /// step is skipped and reported.
  StackReport step() {
    const detail::ClippingEnds<Scalar> clipping_ends{parameters_};
    parameters_.require_apart();
    StackReport report = inspect();
    if (!report.non_finite.empty()) return report;
    if (!detail::any_has_gradient(parameters_.all())) return report;
    detail::StackStep<Scalar> step{parameters_.all(), inputs_, schedule_, steps_};
    step.prepare();
    if (const auto* refused = step.take_those_that_may_fail()) {
      report.non_finite.push_back(refused->name());
      if (refused->options().non_finite == NonFinite::skip) return report;
      detail::refuse_step(detail::joined({"of '", refused->name(), "' ", detail::out_of_range}),
                          report.non_finite);
    }
    for (const Parameter& parameter : parameters_.all()) step.take(*parameter);
    report.applied = true;
    report.step = ++steps_;
    return report;
  }

  /// Looks at all gradients, and reports the parameters whose gradients are not finite. Changes nothing.
  /// Errors: std::invalid_argument if the options of one of these say throw_error.
  StackReport inspect() const { return report_of(detail::non_finite_gradients(parameters_.all())); }

  /// The factor on all learning rates from now on; see schedule.hpp. It and the two below change no options,
  /// and nothing that is saved of options. Errors: std::invalid_argument for a number out of range.
  void set_schedule_factor(double factor) {
    detail::change_schedule(schedule_, parameters_, &detail::StepSchedule::factor, factor);
  }
  /// The factor on all learning rates.
  double schedule_factor() const { return schedule_.factor; }
  /// The factor on all weight decays from now on.
  void set_schedule_decay(double factor) {
    detail::change_schedule(schedule_, parameters_, &detail::StepSchedule::decay_factor, factor);
  }
  /// The factor on all weight decays.
  double schedule_decay() const { return schedule_.decay_factor; }
  /// The momentum from now on of all rules that keep none themselves; std::nullopt for that of their options.
  void set_schedule_momentum(std::optional<double> beta) {
    detail::change_schedule(schedule_, parameters_, &detail::StepSchedule::momentum, beta);
  }
  /// The momentum of all rules that keep none themselves, where a schedule sets it.
  std::optional<double> schedule_momentum() const { return schedule_.momentum; }

  /// Options that may change between steps, of one parameter: its base rate, momentum and decay. Errors:
  /// std::invalid_argument for a name that is not there, a value out of range, and a momentum for a rule that
  /// keeps its own.
  ///@{
  void set_learning_rate(const std::string& name, double rate) {
    parameters_.find(name).change([&](OptimizerOptions& options) { options.learning_rate = rate; });
  }
  void set_momentum(const std::string& name, double beta) {
    parameters_.find(name).change([&](OptimizerOptions& options) { options.momentum = beta; });
  }
  void set_weight_decay(const std::string& name, double decay) {
    parameters_.find(name).change([&](OptimizerOptions& options) { options.weight_decay = decay; });
  }
  ///@}
  /// Set momentum and weight decay of all parameters, and of those added later without options of their own;
  /// the momentum of rules that keep none themselves. Errors: std::invalid_argument for a value out of range.
  ///@{
  void set_momentum(double beta) {
    detail::change_options(
        options_, parameters_, [&](auto& options) { options.momentum = beta; },
        [](const auto& parameter) { return !parameter.facts().keeps_state; });
  }
  void set_weight_decay(double decay) {
    detail::change_options(options_, parameters_, [&](auto& options) { options.weight_decay = decay; });
  }
  ///@}
  /// The options of all parameters that have none of their own.
  const StackOptions& options() const { return options_; }
  /// The options of one parameter. Errors: std::invalid_argument for a name that is not there.
  const OptimizerOptions& options(const std::string& name) const { return parameters_.find(name).options(); }

  /// Sets the memory that the gradient is read from, of the weights' shape; of a stack in float it may be
  /// bfloat16. std::nullopt for a parameter without one.
  template <class Gradient>
  void set_gradient(const std::string& name, Gradient&& gradient) {
    bind_gradient(parameters_.find(name), std::forward<Gradient>(gradient));
  }

  /// Sets a copy of the weights that each step writes too, rounded to the nearest bfloat16, or stochastically
  /// with a seed (see stochastic): the weights that the model computes with beside the ones that are trained.
  /// Of the weights' shape; nothing is written there before the next step. std::nullopt for no more copies.
  template <class Copy>
  void set_copy(const std::string& name, Copy&& copy, std::optional<std::uint64_t> seed = std::nullopt) {
    static_assert(std::same_as<Scalar, float>, "a copy in bfloat16 goes with weights in float");
    maker_.bind_copy(parameters_.find(name), std::forward<Copy>(copy), seed);
    parameters_.memory().invalidate();
  }

  /// Sets the memory of the weights, of the same shape, strides and types; compared with all else at a step.
  template <class Weights>
  void set_weights(const std::string& name, Weights&& weights) {
    auto moved = detail::weights_of<Scalar>(std::forward<Weights>(weights));
    detail::Parameter<Scalar>& parameter = parameters_.find(name);
    detail::require_tensors(name, moved);
    parameter.set_weights(std::move(moved));
    parameters_.memory().invalidate();
  }

  /// Sets the rows that exist: the others keep weights and momentum. Allocates.
  void set_row_mask(const std::string& name, RowMask mask) {
    parameters_.find(name).set_row_mask(std::move(mask));
  }

  /// The plan of all parameters: blocks, rule, scale and rate of each, for reading and for printing.
  Plan plan() const {
    std::vector<PlanRow> rows;
    for (const Parameter& parameter : parameters_.all()) rows.push_back(detail::plan_row(*parameter));
    return Plan(std::move(rows));
  }

  /// The number of parameters.
  std::size_t size() const { return parameters_.all().size(); }
  /// Tests whether there is a parameter of that name.
  bool contains(const std::string& name) const { return parameters_.contains(name); }
  /// Steps applied so far.
  std::int64_t steps() const { return steps_; }

 private:
  friend detail::StateAccess;
  using Parameter = std::unique_ptr<detail::Parameter<Scalar>>;

  template <class Gradient>
  void bind_gradient(detail::Parameter<Scalar>& parameter, Gradient&& gradient) {
    maker_.bind_gradient(parameter, std::forward<Gradient>(gradient));
    parameters_.memory().invalidate_gradients();
  }
  /// Adds them, and reserves the inputs of the largest, so that a step allocates nothing.
  void insert(std::vector<Parameter> added) {
    std::size_t most = 0;
    for (const Parameter& parameter : added) most = std::max(most, parameter->block_count());
    inputs_.reserve(most);
    parameters_.insert(std::move(added));
  }

  StackOptions options_{};

  /// \cond the parts with which a stack over several processes, or on another device, does its own steps
 protected:
  /// Errors: NonFiniteGradient where the options of one of them say so.
  StackReport report_of(detail::NonFiniteGradients found) const {
    StackReport report{
        .step = steps_, .schedule_factor = schedule_.factor, .non_finite = std::move(found.parameters)};
    if (found.is_error)
      detail::refuse_step("the gradient of " + detail::listed(report.non_finite) + " has an Inf or NaN",
                          report.non_finite);
    return report;
  }

  detail::ParameterMaker<Scalar> maker_;
  detail::ParameterList<Scalar> parameters_;
  std::vector<detail::StepInput<Scalar>> inputs_;  // of the blocks of one parameter after another
  detail::StepSchedule schedule_;
  std::int64_t steps_ = 0;
  /// \endcond
};

/// The stack of float models.
using LayerwiseOptimizer = BasicLayerwiseOptimizer<float>;

}}  // namespace symopt
