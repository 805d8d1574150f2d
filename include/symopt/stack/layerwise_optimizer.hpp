// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/stack/edit_distance.hpp>
#include <symopt/stack/numbered_names.hpp>
#include <symopt/stack/occupied_memory.hpp>
#include <symopt/stack/plan.hpp>
#include <symopt/stack/role.hpp>
#include <symopt/stack/routing.hpp>
#include <symopt/stack/share_elements.hpp>

#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <unordered_map>
#include <utility>
#include <vector>

namespace symopt { inline namespace SYMOPT_ABI {

/// What a step of a stack did.
struct StackReport {
  bool applied = false;                   ///< false when it was skipped for a non-finite gradient
  std::int64_t step = 0;                  ///< steps applied so far
  double schedule_factor = 1;             ///< what multiplied all rates
  std::vector<std::string> non_finite{};  ///< the parameters whose gradients were not finite
};

/// One optimizer for each named parameter of a model: the layerwise stack of arXiv 2605.18106. Binds views of
/// the trainer's memory, and updates all of it in place.
///   LayerwiseOptimizer stack;
///   stack.add<LmHead>("head", head, head_gradient, {.learning_rate = 0.05});
///   stack.route(parameters, gemma3({.query = 4, .key_value = 1}));    or all at once, by name
///   std::cout << stack.plan();
///   loop:  compute gradients;  stack.set_schedule_factor(...);  stack.step();
/// A step looks at all gradients before it moves any weight: a non-finite one leaves everything as it was.
/// A parameter without a gradient is left alone, decay included.
/// Rates: each parameter's own times the one schedule factor.
/// Memory: the momenta, and one direction and workspace for each rule and shape of blocks; a step allocates
/// nothing. Views are kept, so the trainer's memory must stay where it is, or be given anew.
/// Errors: std::invalid_argument that names the parameter and the remedy; after one nothing has changed. What
/// a rule of your own throws in a step is passed on, and nothing has changed then either: such rules go
/// first, with a copy of what they change (but for a rule with a state whose call is noexcept).
template <class Scalar>
class BasicLayerwiseOptimizer {
  static_assert(RealScalar<Scalar>, "symopt optimizes float and double blocks");

 public:
  using scalar_type = Scalar;  ///< of weights, gradients and momenta

  /// Moved, not copied: two stacks would update the same memory.
  ///@{
  BasicLayerwiseOptimizer() = default;
  BasicLayerwiseOptimizer(BasicLayerwiseOptimizer&&) = default;
  BasicLayerwiseOptimizer& operator=(BasicLayerwiseOptimizer&&) = default;
  ///@}

  /// Adds a parameter of a class (LmHead, Router, ..., any group) or under a rule (AdamW, Update<...>).
  /// weights, gradient: a TensorView, or an Eigen matrix, map or block in either storage order; both of one
  /// shape. Errors: a name or memory that is already there, a layout or mask that does not fit, options out
  /// of range.
  template <class ClassOrRule, class Weights, class Gradient>
  void add(std::string name, Weights&& weights, Gradient&& gradient,
           OptimizerOptions options = default_options<ClassOrRule>(), Layout layout = {}, RowMask mask = {},
           role_rule_t<ClassOrRule> rule = {}) {
    add(std::move(name),
        role<ClassOrRule, Scalar>(std::move(options), std::move(layout), std::move(mask), std::move(rule)),
        std::forward<Weights>(weights), std::forward<Gradient>(gradient));
  }

  /// Adds a parameter in a role.
  template <class Weights, class Gradient>
  void add(std::string name, const BasicRole<Scalar>& role, Weights&& weights, Gradient&& gradient) {
    std::vector<Parameter> added;
    if constexpr (stores_bfloat16<Gradient>) {
      added.push_back(make({std::move(name), view<Scalar>(std::forward<Weights>(weights)), {}}, role));
      const auto slope = view<const bfloat16>(std::forward<Gradient>(gradient));
      require_apart("gradient", *added.back(), slope);
      added.back()->set_gradient(slope);
    } else {
      added.push_back(make({std::move(name), view<Scalar>(std::forward<Weights>(weights)),
                            gradient_view(std::forward<Gradient>(gradient))},
                           role));
    }
    insert(std::move(added));
  }

  /// Adds all these parameters in the roles that the routing finds for their names; all or none.
  void route(const std::vector<NamedTensor<Scalar>>& tensors, const BasicRouting<Scalar>& routing) {
    const auto routed = routing.roles_of(tensors);
    std::vector<Parameter> parameters;
    for (std::size_t i = 0; i < tensors.size(); ++i) parameters.push_back(make(tensors[i], routed[i].role));
    insert(std::move(parameters));
  }

  /// One step of every parameter that has a gradient.
  /// Errors: those of inspect(). Where that finds something to skip, the whole step is skipped and reported.
  StackReport step() {
    StackReport report = inspect();
    if (!report.non_finite.empty()) {
      forget_clipping();
      return report;
    }
    for (const Parameter& parameter : parameters_) parameter->set_step(steps_);
    step_those_that_may_throw();
    for (const Parameter& parameter : parameters_)
      if (parameter->has_gradient() && !parameter->may_throw()) parameter->step(schedule_factor_);
    forget_clipping();
    report.applied = true;
    report.step = ++steps_;
    return report;
  }

  /// Looks at all gradients without changing anything, and reports the parameters whose gradients are not
  /// finite. Errors: std::invalid_argument if the options of one of these say throw_error.
  StackReport inspect() const {
    StackReport report{.step = steps_, .schedule_factor = schedule_factor_};
    bool must_throw = false;
    for (const Parameter& parameter : parameters_) {
      const NonFinite policy = parameter->options().non_finite;
      if (policy == NonFinite::unchecked || parameter->gradient_is_finite()) continue;
      report.non_finite.push_back(parameter->name());
      must_throw = must_throw || policy == NonFinite::throw_error;
    }
    if (must_throw)
      throw std::invalid_argument("symopt: the gradient of " + listed(report.non_finite) +
                                  " has an Inf or NaN; nothing was changed. Lower the learning rate or clip "
                                  "upstream, or skip such steps with non_finite = NonFinite::skip");
    return report;
  }

  /// The factor on all learning rates from now on; see schedule.hpp.
  void set_schedule_factor(double factor) {
    if (!(factor >= 0) || !std::isfinite(factor)) {
      std::ostringstream message;
      message << "symopt: the schedule factor is " << factor << "; it must be finite and not negative";
      throw std::invalid_argument(message.str());
    }
    schedule_factor_ = factor;
  }
  /// What multiplies all learning rates.
  double schedule_factor() const { return schedule_factor_; }

  /// The base rate of one parameter.
  void set_learning_rate(const std::string& name, double rate) { find(name).set_learning_rate(rate); }
  /// The options of one parameter. Errors: std::invalid_argument for a name that is not there.
  const OptimizerOptions& options(const std::string& name) const { return find(name).options(); }

  /// Where the gradient is read from now on; std::nullopt for a parameter without one. Of the weights' shape;
  /// of a stack in float it may be bfloat16.
  template <class Gradient>
  void set_gradient(const std::string& name, Gradient&& gradient) {
    detail::StackParameter<Scalar>& parameter = find(name);
    if constexpr (stores_bfloat16<Gradient>) {
      const auto slope = view<const bfloat16>(std::forward<Gradient>(gradient));
      require_memory<const bfloat16>(name, "gradient", slope);
      require_apart("gradient", parameter, slope);
      parameter.set_gradient(slope);
    } else {
      const auto slope = gradient_view(std::forward<Gradient>(gradient));
      if (slope) {
        require_memory<const Scalar>(name, "gradient", *slope);
        require_apart("gradient", parameter, *slope);
      }
      parameter.set_gradient(slope);
    }
  }

  /// Where each step writes the weights too from now on, rounded to the nearest bfloat16, or stochastically
  /// with a seed (see stochastic): the weights that the model computes with beside the ones that are trained.
  /// Of the weights' shape; nothing is written there before the next step. std::nullopt for no more copies.
  template <class Copy>
  void set_copy(const std::string& name, Copy&& copy, std::optional<std::uint64_t> seed = std::nullopt) {
    static_assert(std::same_as<Scalar, float>, "a copy in bfloat16 goes with weights in float");
    detail::StackParameter<Scalar>& parameter = find(name);
    if constexpr (std::same_as<std::remove_cvref_t<Copy>, std::nullopt_t>) {
      parameter.stop_copying();
    } else {
      const auto target = view<bfloat16>(std::forward<Copy>(copy));
      require_memory<bfloat16>(name, "copy", target);
      require_apart("copy", parameter, TensorView<const bfloat16>(target));
      parameter.set_copy(target, seed);
    }
  }

  /// Where the weights lie from now on; of the same shape and strides. Not compared with the memory of
  /// gradients and other parameters, which may be about to move too.
  template <class Weights>
  void set_weights(const std::string& name, Weights&& weights) {
    const auto moved = view<Scalar>(std::forward<Weights>(weights));
    detail::StackParameter<Scalar>& parameter = find(name);
    require_memory<Scalar>(name, "weights", moved);
    parameter.set_weights(moved);
    memory_is_noted_ = false;
  }

  /// Which rows exist from now on: the others keep weights and momentum. Allocates.
  void set_row_mask(const std::string& name, RowMask mask) { find(name).set_row_mask(std::move(mask)); }

  /// What is done with each parameter, for reading and for printing.
  Plan plan() const {
    std::vector<PlanRow> rows;
    for (const Parameter& parameter : parameters_) rows.push_back(parameter->plan_row());
    return Plan(std::move(rows));
  }

  /// The number of parameters.
  std::size_t size() const { return parameters_.size(); }
  /// True when there is a parameter of that name.
  bool contains(const std::string& name) const { return by_name_.contains(name); }
  /// Steps applied so far.
  std::int64_t steps() const { return steps_; }

 private:
  friend detail::StateAccess;
  using Parameter = std::unique_ptr<detail::StackParameter<Scalar>>;
  using ByName = std::unordered_map<std::string, detail::StackParameter<Scalar>*>;

  /// True for an Eigen object or a TensorView of bfloat16.
  template <class Block>
  static constexpr bool stores_bfloat16 = [] {
    using Plain = std::remove_cvref_t<Block>;
    if constexpr (requires { typename Plain::Scalar; }) {
      return std::same_as<typename Plain::Scalar, bfloat16>;
    } else if constexpr (requires { typename Plain::value_type; }) {
      return std::same_as<std::remove_const_t<typename Plain::value_type>, bfloat16>;
    } else {
      return false;
    }
  }();

  template <class Wanted, class Block>
  static TensorView<Wanted> view(Block&& block) {
    using Plain = std::remove_cvref_t<Block>;
    if constexpr (requires { block.sizes(); }) {
      static_assert(std::convertible_to<Plain, TensorView<Wanted>>,
                    "the tensor must have the stack's scalar, and weights must be writable");
      return block;
    } else if constexpr (!EigenObject<Plain>) {
      static_assert(EigenObject<Plain>,
                    "a stack needs memory with a shape: an Eigen object, or for a pointer "
                    "TensorView<float>(pointer, {rows, cols})");
    } else {
      static_assert(is_memory_v<Plain>,
                    "a stack needs memory to look at: a Matrix, Map, Ref, Block or TensorView");
      static_assert(outlives_expression_v<Block>,
                    "a stack keeps views: give it a matrix that stays, or a Map of memory that does");
      static_assert(std::is_const_v<Wanted> || is_writable_memory_v<Block&>,
                    "the weights must be memory to update, not read-only");
      static_assert(
          std::same_as<typename Plain::Scalar, std::remove_const_t<Wanted>>,
          "weights and gradient must have the stack's scalar: BasicLayerwiseOptimizer<double> for double");
      return TensorView<Wanted>(std::forward<Block>(block));
    }
  }
  template <class Gradient>
  static std::optional<TensorView<const Scalar>> gradient_view(Gradient&& gradient) {
    if constexpr (std::same_as<std::remove_cvref_t<Gradient>, std::nullopt_t>) {
      return std::nullopt;
    } else if constexpr (requires { gradient.has_value(); }) {
      if (!gradient) return std::nullopt;
      return view<const Scalar>(*std::forward<Gradient>(gradient));
    } else {
      return view<const Scalar>(std::forward<Gradient>(gradient));
    }
  }

  /// The address of a tensor with elements is one where a scalar can be.
  template <class Element>
  static void require_memory(const std::string& name, const char* what, const TensorView<Element>& tensor) {
    if (tensor.is_empty()) return;
    const auto refuse = [&](const std::string& wrong) {
      throw std::invalid_argument("symopt: parameter '" + name + "': the memory of the " + what + wrong);
    };
    if (tensor.data() == nullptr)
      refuse(" is a null pointer; give memory of the shape " + tensor.to_string() +
             ", and std::nullopt for a gradient that is not there");
    if (reinterpret_cast<std::uintptr_t>(tensor.data()) % alignof(Element) != 0)
      refuse(" begins between two scalars; it must begin at a multiple of " +
             std::to_string(alignof(Element)) + " bytes");
  }

  Parameter make(const NamedTensor<Scalar>& tensor, const BasicRole<Scalar>& role) const {
    require_memory<Scalar>(tensor.name, "weights", tensor.weights);
    if (tensor.gradient) require_memory<const Scalar>(tensor.name, "gradient", *tensor.gradient);
    if (detail::overlaps_itself<const Scalar>(tensor.weights))
      throw std::invalid_argument("symopt: parameter '" + tensor.name + "' of shape " +
                                  tensor.weights.to_string() +
                                  ": some of its elements are the same memory, so that they would be updated "
                                  "more than once; give the tensor that was expanded or unfolded");
    Parameter parameter = role.make(tensor.name, tensor.weights, work_);
    if (tensor.gradient) require_apart("gradient", *parameter, *tensor.gradient);
    parameter->set_gradient(tensor.gradient);
    return parameter;
  }

  void forget_clipping() {
    for (const Parameter& parameter : parameters_) parameter->set_gradient_factor(1);
  }

  /// The parameters whose rules may throw go first, so that all of them can be put back when one does.
  void step_those_that_may_throw() {
    const auto takes_part = [](const Parameter& parameter) {
      return parameter->may_throw() && parameter->has_gradient();
    };
    std::size_t remembered = 0;
    try {
      for (const Parameter& parameter : parameters_) {
        if (takes_part(parameter)) parameter->remember();
        ++remembered;
        if (takes_part(parameter)) parameter->step(schedule_factor_);
      }
    } catch (...) {
      for (std::size_t p = 0; p < remembered; ++p)
        if (takes_part(parameters_[p])) parameters_[p]->restore();
      throw;
    }
  }

  /// Adds all of them or throws.
  void insert(std::vector<Parameter> added) {
    ByName names;
    for (const Parameter& parameter : added)
      if (contains(parameter->name()) || !names.emplace(parameter->name(), parameter.get()).second)
        throw std::invalid_argument("symopt: parameter '" + parameter->name() +
                                    "' is there already; a name stands for one parameter");
    require_own_memory(added);
    const std::size_t count = parameters_.size() + added.size();
    if (count > parameters_.capacity()) {  // doubled: a model may come parameter by parameter
      const std::size_t room = std::max(count, 2 * parameters_.capacity());
      by_name_.reserve(room);
      parameters_.reserve(room);
    }
    by_name_.merge(names);
    for (Parameter& parameter : added) parameters_.push_back(std::move(parameter));
    memory_is_noted_ = true;
  }

  /// Throws, or notes where the new ones lie. The notes are made anew where weights were moved since, or
  /// where what was noted was not added in the end.
  void require_own_memory(const std::vector<Parameter>& added) {
    if (!memory_is_noted_) {
      memory_ = {};
      for (std::size_t p = 0; p < parameters_.size(); ++p)
        memory_.add(parameters_[p]->weights_tensor().address_range(), p);
    }
    memory_is_noted_ = false;
    const auto parameter = [&](std::size_t p) -> const detail::StackParameter<Scalar>& {
      return p < parameters_.size() ? *parameters_[p] : *added[p - parameters_.size()];
    };
    for (std::size_t p = parameters_.size(); p < parameters_.size() + added.size(); ++p) {
      const TensorView<const Scalar> weights = parameter(p).weights_tensor();
      memory_.for_each_meeting(weights.address_range(), [&](std::size_t other) {
        if (detail::share_elements<const Scalar>(weights, parameter(other).weights_tensor()))
          throw std::invalid_argument("symopt: parameters '" + parameter(other).name() + "' and '" +
                                      parameter(p).name() +
                                      "' share memory and would be updated twice; add one of them. An "
                                      "embedding that is also the head is one "
                                      "TiedEmbedding (in a rule set: Embeddings::tied)");
      });
      memory_.add(weights.address_range(), p);
    }
  }
  template <class Stored>
  static void require_apart(const char* what, const detail::StackParameter<Scalar>& parameter,
                            const TensorView<const Stored>& other) {
    const TensorView<const Scalar> weights = parameter.weights_tensor();
    const bool overlap = [&] {
      if constexpr (std::same_as<Stored, Scalar>) {
        return detail::share_elements<const Scalar>(weights, other);
      } else {
        const auto [begin, end] = weights.address_range();
        const auto [other_begin, other_end] = other.address_range();
        const std::less<const void*> before;
        return before(begin, other_end) && before(other_begin, end);
      }
    }();
    if (overlap)
      throw std::invalid_argument("symopt: parameter '" + parameter.name() + "': weights and " + what +
                                  " overlap in memory; keep them apart");
  }

  /// "parameter 'head'", "parameters 'layers.[0-27].up' (28), 'head'"
  static std::string listed(const std::vector<std::string>& names) {
    std::vector<detail::NumberedNames> gathered;
    for (const std::string& name : names) {
      const detail::NumberedNames one(name);
      if (std::ranges::none_of(gathered, [&](detail::NumberedNames& known) { return known.merge(one); }))
        gathered.push_back(one);
    }
    std::string text;
    for (const detail::NumberedNames& some : gathered) {
      text += (text.empty() ? "'" : ", '") + some.text() + "'";
      if (some.count() > 1) text += " (" + std::to_string(some.count()) + ")";
    }
    return (names.size() == 1 ? "parameter " : "parameters ") + text;
  }

  std::string nearest(const std::string& name) const {
    const auto found = std::ranges::min_element(parameters_, {}, [&](const Parameter& parameter) {
      return detail::edit_distance(parameter->name(), name);
    });
    return found == parameters_.end() ? ", which is empty"
                                      : "; the nearest name is '" + (*found)->name() + "'";
  }

  detail::StackParameter<Scalar>& find(const std::string& name) const {
    const auto found = by_name_.find(name);
    if (found == by_name_.end())
      throw std::invalid_argument("symopt: there is no parameter '" + name + "' in this stack" +
                                  nearest(name));
    return *found->second;
  }

  std::shared_ptr<detail::WorkMemory> work_ = std::make_shared<detail::WorkMemory>();
  std::vector<Parameter> parameters_;
  ByName by_name_;
  detail::OccupiedMemory<Scalar> memory_;  // of all weights, where it is noted
  bool memory_is_noted_ = true;
  double schedule_factor_ = 1.0;
  std::int64_t steps_ = 0;
};

/// The stack of float models.
using LayerwiseOptimizer = BasicLayerwiseOptimizer<float>;

}}  // namespace symopt
