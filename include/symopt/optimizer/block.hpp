// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/error.hpp>
#include <symopt/kernel/all_finite.hpp>
#include <symopt/memory/row_mask.hpp>
#include <symopt/optimizer/any_state.hpp>
#include <symopt/optimizer/fused_state_step.hpp>
#include <symopt/optimizer/map_step.hpp>
#include <symopt/optimizer/state_fields.hpp>
#include <symopt/optimizer/state_step.hpp>
#include <symopt/optimizer/step_range.hpp>

#include <algorithm>
#include <cmath>
#include <concepts>
#include <type_traits>
#include <utility>

namespace symopt { inline namespace SYMOPT_ABI { namespace detail {

/// A rule as blocks are given it: with its mirror, where it maps the momentum.
template <class Rule, class Scalar>
struct BlockRule : OrientedMap<Rule> {
  using OrientedMap<Rule>::OrientedMap;
};
template <class Rule, class Scalar>
requires StatefulRule<Rule, Scalar>
struct BlockRule<Rule, Scalar> {
  explicit BlockRule(Rule r) : rule(std::move(r)) {}
  Rule rule;
};

/// One block that steps under a rule: its state (the momentum, or the state of a rule that keeps its own),
/// and the scratch that its steps work in. An Optimizer has one, a parameter of a stack has many; the rule is
/// their owner's.
///
/// A step goes along the memory of the weights. Where that runs along columns, the block is the transposed
/// one and the map the mirrored one; the state is kept, and turned, the same way. Then
///   a rule that maps the momentum    goes through its kernel, or the general step: map_step.hpp
///   AdamW, or another with a kernel  does the whole step itself: fused_state_step.hpp
///   any other rule with a state      is shown weights and gradient, and gives a direction: state_step.hpp
/// The rows that a mask leaves out keep their state; the views of a step are of the others. The mask must
/// outlive the block. Memory: the state and, at construction, the scratch of row-major steps; that of the
/// other orientation is taken at its first step, before anything changes, or by reserve().
template <class Rule, class Scalar>
class Block {
  static constexpr bool is_stateful = StatefulRule<Rule, Scalar>;
  static constexpr bool has_kernel = HasFusedState<Rule, Scalar>;

  template <class R, bool has_own>
  struct MemoryOf {
    using type = kernel::OrientedBuffer<Scalar>;
  };
  template <class R>
  struct MemoryOf<R, true> {
    using type = typename R::template State<Scalar>;
  };

 public:
  /// The block's state between steps: the momentum, or the state of a rule that keeps its own.
  using Memory = typename MemoryOf<Rule, is_stateful>::type;

  Block(Shape shape, ScratchSource source, const RowMask* rows = nullptr)
      : shape_(shape), rows_(rows), source_(source), memory_(made_memory()) {}

  /// Takes the scratch of an orientation. `may_gather`: the rule may have to be shown copies.
  template <Orientation orientation>
  void reserve(bool may_gather = false) {
    if constexpr (!is_stateful) {
      steps_.template reserve<orientation>(source_, existing_shape(), memory_);
    } else if constexpr (has_kernel) {
      steps_.template reserve<orientation>(source_, existing_shape());
    } else {
      steps_.reserve(source_, existing_shape(), may_gather);
    }
  }

  /// One step. Returns false, and has changed nothing but a state, where the gradient was to be checked and
  /// is not finite, or so large, or the direction, that the step may leave the range. What a rule throws is
  /// passed on: the weights are then as they were, and so is a momentum; a state may not be. The orientation
  /// is that of the weights; a template, so that a program compiles the ones in use. `reduction`: nothing, or
  /// one for rows that several processes share (kernel/reduction.hpp), of a block along rows.
  template <Orientation orientation>
  bool step(const BlockRule<Rule, Scalar>& rule, const StepInput<Scalar>& input, const auto&... reduction) {
    reserve<orientation>();
    const StepInput<Scalar>& lines = along_rows<orientation>(input);
    if constexpr (!is_stateful) {
      const BlockView<Scalar> momentum = existing(memory_.for_step(orientation));
      const kernel::StepCoefficients& c = lines.coefficients;
      if (!steps_.template run<orientation>(rule,
                                            {lines.gradient, along_rows<orientation>(momentum), lines.weights,
                                             &memory_.sums(), lines.gradient_exponent()},
                                            lines, reduction...))
        return false;
      memory_.advance_bound(c.beta, std::abs(c.weight_of_stored_gradient()), lines.largest_gradient);
      return true;
    } else if constexpr (has_kernel) {
      return steps_.template run<orientation>(rule.rule, lines, memory_, reduction...);
    } else {
      if (input.check == kernel::Check::gradient &&
          !kernel::all_below(input.gradient_exponent(), input.gradient))
        return false;
      static_assert(sizeof...(reduction) == 0, "a rule without a kernel needs all rows");
      return steps_.template run<orientation>(rule.rule, memory_, lines, source_);
    }
  }

  /// Tests whether a step of finite weights cannot leave the range of Scalar, by bounds that cost nothing;
  /// where they do not suffice, by the entries of gradient and state. `is_checked`: the step is told to
  /// check, so that it looks at a direction of which nothing is known.
  bool is_in_range(const BlockRule<Rule, Scalar>& rule, StepInput<Scalar> input, bool is_checked) {
    if (!(input.largest_gradient <= usual_gradient<Scalar>)) return false;
    if (shape_.rows == 0 || shape_.cols == 0 || is_bounded(rule, input, is_checked)) return true;
    if (!depends_on_numbers(rule, is_checked)) return false;
    input.largest_gradient = std::min(input.largest_gradient, largest_entry(input.gradient));
    if constexpr (!is_stateful) {
      memory_.find_bound();
    } else if constexpr (requires { rule.rule.find_bound(memory_); }) {
      rule.rule.find_bound(memory_);
    }
    return is_bounded(rule, input, is_checked);
  }

  /// Tests whether the state is finite; true of one that does not tell.
  bool is_finite() const {
    if constexpr (!is_stateful) {
      return all_entries_finite(memory_.view());
    } else if constexpr (requires { memory_.is_finite(); }) {
      return memory_.is_finite();
    } else {
      return true;
    }
  }

  Shape shape() const { return shape_; }
  Shape existing_shape() const {
    return shape_of(existing(BlockView<Scalar>(nullptr, {shape_.rows}, {shape_.cols})));
  }

  /// The state, to be read, kept and put back.
  ///@{
  const Memory& memory() const { return memory_; }
  void restore(Memory& kept) noexcept {
    std::swap(memory_, kept);
    if constexpr (!is_stateful) (void)memory_.for_writing();  // its sums may be of another step
  }
  ///@}

  /// Shows the arrays of the state; the one way in for whoever saves, loads or compares it. Errors:
  /// Error for a state that does not say what it is made of, and what a state's validate() throws of values
  /// that were loaded.
  void visit(const Rule& rule, const StateVisitor& visitor) {
    if constexpr (!can_be_visited<Memory>()) {
      throw Error("the state of the rule " + rule_text(rule) +
                  " cannot be saved: say what it is made of, with a member visit(field) of its State or by "
                  "adapting that to Boost.Hana; see docs/state.md");
    } else {
      constexpr bool is_checked = requires(const Memory& memory) {
        memory.validate();
      };
      // A state made from a shape knows its sizes; another one may wait for its first step.
      constexpr bool may_grow =
          !std::constructible_from<Memory, Shape> && !std::constructible_from<Memory, Index, Index>;
      visit_fields(is_stateful ? "" : "momentum", memory_, visitor.is_loading, [&](StateField field) {
        if (field.name.empty()) field.name = "state";
        if (!may_grow) field.resized = nullptr;
        field.is_checked = is_checked;
        visitor.field(std::move(field));
      });
      if constexpr (is_checked)
        if (visitor.is_loading) memory_.validate();
    }
  }

 private:
  static constexpr bool knows_direction = requires(const Rule& rule, Memory& memory) {
    rule.largest_direction(memory, 1.0);
  };

  /// A bound on the entries of a direction that a step does not check itself. A kernel of the user's own
  /// answers for its directions.
  double largest_direction(const BlockRule<Rule, Scalar>& rule, double momentum, bool is_checked) const {
    if (is_checked && !HasFusedStep<Rule>) return 0;
    const double largest = largest_of_direction(rule.rule, existing_shape(), momentum);
    return HasFusedStep<Rule> && largest == unbounded ? 0 : largest;
  }
  bool depends_on_numbers(const BlockRule<Rule, Scalar>& rule, bool is_checked) const {
    if constexpr (!is_stateful) {
      return largest_direction(rule, 0, is_checked) < unbounded;
    } else {
      return knows_direction;
    }
  }
  bool is_bounded(const BlockRule<Rule, Scalar>& rule, const StepInput<Scalar>& input,
                  bool is_checked) const {
    if constexpr (!is_stateful) {
      const double next = next_bound(memory_.bound(), input);
      if (!(next <= std::ldexp(1.0, momentum_exponent<Scalar>))) return false;
      return is_harmless<Scalar>(input.coefficients, largest_direction(rule, next, is_checked));
    } else if constexpr (knows_direction) {
      return is_harmless<Scalar>(input.coefficients,
                                 rule.rule.largest_direction(memory_, input.largest_gradient));
    } else {
      return is_harmless<Scalar>(input.coefficients, is_checked || has_kernel ? 0.0 : unbounded);
    }
  }

  BlockView<Scalar> existing(const BlockView<Scalar>& block) const {
    return rows_ == nullptr ? block : rows_->existing(block);
  }

  Memory made_memory() const {
    if constexpr (is_stateful) {
      return make_state<Memory>(existing_shape());
    } else {
      return Memory(shape_);
    }
  }

  Shape shape_;
  const RowMask* rows_;  // null: all rows
  ScratchSource source_;
  Memory memory_;
  std::conditional_t<!is_stateful, MapStep<Rule, Scalar>,
                     std::conditional_t<has_kernel, FusedStateStep<Rule, Scalar>, StateStep<Rule, Scalar>>>
      steps_;
};

}}}  // namespace symopt::detail
