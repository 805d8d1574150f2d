// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/stack/layerwise_optimizer.hpp>
#include <symopt/stack/state_table.hpp>
#include <symopt/update/optimizer.hpp>

#include <cstdint>
#include <span>

namespace symopt { inline namespace SYMOPT_ABI { namespace detail {

struct StateAccess {
  template <class Scalar>
  static const auto& parameters(const BasicLayerwiseOptimizer<Scalar>& stack) {
    return stack.parameters_;
  }

  template <class Scalar>
  static StateTable table(const BasicLayerwiseOptimizer<Scalar>& stack) {
    StateTable table{.steps = stack.steps_, .schedule_factor = stack.schedule_factor_};
    for (const auto& parameter : stack.parameters_) table.parameters.push_back(parameter->saved());
    return table;
  }
  /// rates: one for each parameter, in order, or none. Does not throw once they are in range.
  template <class Scalar>
  static void commit(BasicLayerwiseOptimizer<Scalar>& stack, const StateTable& loaded, bool with_rates) {
    stack.steps_ = loaded.steps;
    if (!with_rates) return;
    stack.schedule_factor_ = loaded.schedule_factor;
    for (std::size_t p = 0; p < loaded.parameters.size(); ++p)
      stack.parameters_[p]->set_learning_rate(loaded.parameters[p].options.learning_rate);
  }

  template <class Rule, class Scalar>
  static StateTable table(const Optimizer<Rule, Scalar>& constant) {
    auto& optimizer = const_cast<Optimizer<Rule, Scalar>&>(constant);  // the fields are written by load alone
    SavedParameter saved{.name = optimizer.options_.parameter,
                         .sizes = {optimizer.shape_.rows, optimizer.shape_.cols},
                         .scalar = dtype_of<Scalar>(),
                         .layout = to_string(Layout{}),
                         .rows = "",
                         .group = rule_group_text<Rule>(),
                         .rule = rule_text(optimizer.rule_),
                         .rule_options = rule_options_text(optimizer.rule_),
                         .options = optimizer.options_};
    auto& state = optimizer.state_;
    if constexpr (StatefulRule<Rule, Scalar>) {
      describe_states(std::span(&state.state, 1), saved);
    } else {
      visit_fields("0/momentum", state.momentum,
                   [&](StateField field) { saved.fields.push_back(std::move(field)); });
    }
    return {optimizer.steps_, optimizer.schedule_factor_, {std::move(saved)}};
  }
  template <class Rule, class Scalar>
  static void commit(Optimizer<Rule, Scalar>& optimizer, const StateTable& loaded, bool with_rates) {
    optimizer.steps_ = loaded.steps;
    if (!with_rates) return;
    optimizer.schedule_factor_ = loaded.schedule_factor;
    optimizer.options_.learning_rate = loaded.parameters.front().options.learning_rate;
  }
};

}}}  // namespace symopt::detail
