// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/memory/layout.hpp>
#include <symopt/optimizer/optimizer.hpp>
#include <symopt/pair/pair_optimizer.hpp>
#include <symopt/stack/layerwise_optimizer.hpp>
#include <symopt/stack/parameter_rows.hpp>
#include <symopt/stack/state_table.hpp>

#include <concepts>
#include <memory>
#include <utility>
#include <vector>

namespace symopt { inline namespace SYMOPT_ABI { namespace detail {

/// The state of an optimizer's one block.
template <class Block, class Rule>
class StateOfBlock final : public AnyState {
 public:
  StateOfBlock(Block& block, const Rule& rule) : block_(block), rule_(rule) {}

  void visit(const StateVisitor& visitor) override {
    block_.visit(rule_, {[&](StateField field) {
                           field.name = "0/" + field.name;
                           visitor.field(std::move(field));
                         },
                         visitor.is_loading});
  }
  void keep(std::shared_ptr<void>& kept) const override {
    if constexpr (std::copyable<Memory>) kept = std::make_shared<Memory>(block_.memory());
  }
  void put_back(const std::shared_ptr<void>& kept) noexcept override {
    if constexpr (std::copyable<Memory>)
      if (kept) block_.restore(*static_cast<Memory*>(kept.get()));
  }

 private:
  using Memory = typename Block::Memory;

  Block& block_;
  const Rule& rule_;
};

/// The momenta of the blocks on one side of a pair.
template <class Scalar>
class MomentaOfPair final : public AnyState {
  using Momenta = std::vector<kernel::OrientedBuffer<Scalar>>;

 public:
  explicit MomentaOfPair(Momenta& momenta) : momenta_(momenta) {}

  void visit(const StateVisitor& visitor) override { visit_momenta(momenta_, visitor); }
  void keep(std::shared_ptr<void>& kept) const override { kept = std::make_shared<Momenta>(momenta_); }
  void put_back(const std::shared_ptr<void>& kept) noexcept override {
    if (kept) std::swap(momenta_, *static_cast<Momenta*>(kept.get()));
  }

 private:
  Momenta& momenta_;
};

struct StateAccess {
  template <class Scalar>
  static const auto& parameters(const BasicLayerwiseOptimizer<Scalar>& stack) {
    return stack.parameters_.all();
  }

  template <class Scalar>
  static const StepSchedule& schedule(const BasicLayerwiseOptimizer<Scalar>& stack) {
    return stack.schedule_;
  }

  template <class Scalar>
  static StateTable table(const BasicLayerwiseOptimizer<Scalar>& stack) {
    StateTable table{.steps = stack.steps_, .schedule_factor = stack.schedule_.factor};
    for (const auto& parameter : parameters(stack)) {
      table.parameters.push_back(saved(*parameter));
      table.parameters.back().require_usable = [&stack, of = parameter.get()](const OptimizerOptions& options,
                                                                              double factor) {
        StepSchedule schedule = stack.schedule_;
        schedule.factor = factor;
        of->rule().validate(options);
        of->require_factors(options, schedule);
      };
    }
    return table;
  }
  template <class Rule, class Scalar>
  static StateTable table(const Optimizer<Rule, Scalar>& optimizer) {
    return table_of_block(optimizer, optimizer.shape());
  }
  /// Of an optimizer of one block, all of which has that shape.
  template <class OfBlock>
  static StateTable table_of_block(const OfBlock& constant, Shape whole) {
    // Its state is written by loading alone, and a visit that only reads changes nothing.
    auto& optimizer = const_cast<OfBlock&>(constant);
    using Rule = typename OfBlock::rule_type;
    using Scalar = typename OfBlock::scalar_type;
    using State = StateOfBlock<Block<Rule, Scalar>, Rule>;
    SavedParameter saved{.name = optimizer.options_.parameter,
                         .sizes = {whole.rows, whole.cols},
                         .scalar = dtype_of<Scalar>(),
                         .layout = to_string(Layout{}),
                         .rows = "",
                         .group = rule_group_text<Rule>(),
                         .rule = rule_text(optimizer.rule()),
                         .rule_options = rule_options_text(optimizer.rule()),
                         .options = optimizer.options_,
                         .state = std::make_shared<State>(optimizer.block_, optimizer.rule()),
                         .require_usable = usable_by(optimizer)};
    return {optimizer.steps_, optimizer.schedule_factor_, {std::move(saved)}};
  }

  /// A pair alone is two parameters, as in a stack; of several blocks on a side the fields are numbered.
  template <class Rule, class Scalar>
  static StateTable table(const PairOptimizer<Rule, Scalar>& constant) {
    auto& optimizer = const_cast<PairOptimizer<Rule, Scalar>&>(constant);
    StateTable table{optimizer.steps_, optimizer.schedule_factor_, {}};
    const auto add = [&](const char* side, Shape shape, auto& momenta) {
      table.parameters.push_back(
          {.name = optimizer.options_.parameter + "." + side,
           .sizes = {shape.rows, shape.cols},
           .scalar = dtype_of<Scalar>(),
           .layout = to_string(Layout{}),
           .rows = "",
           .group = type_name<typename Rule::pair_group>(),
           .rule = rule_text(optimizer.rule()),
           .rule_options = pair_options_text(optimizer.rule(), optimizer.pair_options()),
           .options = optimizer.options_,
           .state = std::make_shared<MomentaOfPair<Scalar>>(momenta),
           .require_usable = usable_by(optimizer)});
    };
    add("a", optimizer.shape().a(), optimizer.momenta_a_);
    add("b", optimizer.shape().b(), optimizer.momenta_b_);
    return table;
  }

  /// Takes steps, factor and rates out of a table that was loaded. Does not throw, once they are usable.
  ///@{
  template <class Scalar>
  static void commit(BasicLayerwiseOptimizer<Scalar>& stack, const StateTable& loaded, bool with_rates) {
    stack.steps_ = loaded.steps;
    if (!with_rates) return;
    stack.schedule_.factor = loaded.schedule_factor;
    for (std::size_t p = 0; p < loaded.parameters.size(); ++p)
      stack.set_learning_rate(parameters(stack)[p]->name(), loaded.parameters[p].options.learning_rate);
  }
  template <class Own>
  static void commit(AdjustableOptions<Own>& optimizer, const StateTable& loaded, bool with_rates) {
    optimizer.steps_ = loaded.steps;
    if (!with_rates) return;
    optimizer.schedule_factor_ = loaded.schedule_factor;
    optimizer.options_.learning_rate = loaded.parameters.front().options.learning_rate;
  }
  ///@}

 private:
  /// The test of options that the optimizer itself has.
  template <class Own>
  static auto usable_by(const AdjustableOptions<Own>& optimizer) {
    return [&optimizer](const OptimizerOptions& options, double factor) {
      optimizer.own().require_usable(options, factor);
    };
  }
};

}}}  // namespace symopt::detail
