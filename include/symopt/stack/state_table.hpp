// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/update/options.hpp>
#include <symopt/update/state_fields.hpp>

#include <algorithm>
#include <concepts>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

// What of an optimizer outlives a process, and what must be the same for it to mean the same.
namespace symopt { inline namespace SYMOPT_ABI {

/// A copy of the states of a parameter that a file is read into when it cannot go straight to its place.
struct StateCopy {
  std::vector<StateField> fields;  ///< the arrays of the copy
  std::function<void()> validate;  ///< throws std::invalid_argument for values that are no state
  std::function<void()> commit;    ///< puts the copy into its place; does not throw
};

/// One parameter: what its state is called, what it depends on, and where it lies.
struct SavedParameter {
  std::string name;          ///< of the parameter
  std::vector<Index> sizes;  ///< of the tensor, as it is stored
  std::string scalar;        ///< F32 or F64
  std::string layout;        ///< as in the plan
  std::string rows;   ///< the row mask; "" for all rows
  std::string group;  ///< as in the plan
  std::string rule;   ///< as in the plan
  std::string rule_options;  ///< "AdamW.beta1=0.9, ..."
  OptimizerOptions options;  ///< the conventions and the rate
  std::vector<StateField> fields{};  ///< the arrays of all blocks: "0/momentum", "1/momentum", ...
  /// Not empty where a state is read into a copy first.
  std::function<StateCopy()> copy{};
  std::string unsavable{};  ///< not empty: why the state cannot be saved
};

/// All of an optimizer.
struct StateTable {
  std::int64_t steps = 0;                    ///< applied so far
  double schedule_factor = 1;                ///< on all rates
  std::vector<SavedParameter> parameters{};  ///< in the order of adding
};

namespace detail {

/// The way in for what saves, loads and inspects optimizers from outside of their classes.
struct StateAccess;

/// The fields of the states of a parameter's blocks, each named by its block.
template <class State>
std::vector<StateField> fields_of_blocks(std::span<State> states) {
  std::vector<StateField> fields;
  // A state made from a shape knows its sizes; another one may wait for its first step.
  constexpr bool may_grow =
      !std::constructible_from<State, Shape> && !std::constructible_from<State, Index, Index>;
  for (std::size_t b = 0; b < states.size(); ++b)
    visit_fields("", states[b], [&](StateField field) {
      if (!may_grow) field.resized = nullptr;
      field.name = std::to_string(b) + "/" + (field.name.empty() ? "state" : field.name);
      fields.push_back(std::move(field));
    });
  return fields;
}

/// Adds the states of a stateful rule to a parameter.
template <class State>
void describe_states(std::span<State> states, SavedParameter& saved) {
  if constexpr (SavableState<State>) {
    saved.fields = fields_of_blocks(states);
    bool grows = false;
    for (const StateField& field : saved.fields) grows = grows || field.resized;
    if (!grows && !requires(const State& state) { state.validate(); }) return;
    saved.copy = [states] {
      const auto copies = std::make_shared<std::vector<State>>(states.begin(), states.end());
      return StateCopy{fields_of_blocks(std::span<State>(*copies)),
                       [copies] {
                         if constexpr (requires(const State& state) { state.validate(); })
                           for (const State& state : *copies) state.validate();
                       },
                       [copies, states] { std::ranges::swap_ranges(states, *copies); }};
    };
  } else {
    saved.unsavable =
        "the state of the rule " + saved.rule +
        " cannot be saved: say what it is made of, with a member visit(field) of its State or by "
        "adapting that to Boost.Hana; see docs/state.md";
  }
}

}  // namespace detail

}}  // namespace symopt
