// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/optimizer/any_state.hpp>
#include <symopt/optimizer/options.hpp>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

// The part of an optimizer that outlives a process, and the options that must agree for it to mean the same.
namespace symopt { inline namespace SYMOPT_ABI { namespace detail {

/// One parameter: what its state is called, and what it depends on.
struct SavedParameter {
  std::string name;                         ///< of the parameter
  std::vector<Index> sizes;                 ///< of the tensor, as it is stored
  std::string scalar;                       ///< F32 or F64
  std::string layout;                       ///< as in the plan
  std::string rows;                         ///< the row mask; "" for all rows
  std::string group;                        ///< as in the plan
  std::string rule;                         ///< as in the plan
  std::string rule_options;                 ///< "AdamW.beta1=0.9, ..."
  OptimizerOptions options;                 ///< the conventions and the rate
  std::shared_ptr<detail::AnyState> state;  ///< of the blocks that this process holds; the optimizer's own
  std::vector<std::size_t> elsewhere{};     ///< the blocks whose state other processes hold
  /// Throws Error for options with which the optimizer cannot step, under that schedule factor.
  std::function<void(const OptimizerOptions&, double)> require_usable{};
};

/// All of an optimizer.
struct StateTable {
  std::int64_t steps = 0;                    ///< applied so far
  double schedule_factor = 1;                ///< on all rates
  std::vector<SavedParameter> parameters{};  ///< in the order of adding
};

/// The way in for what saves, loads and inspects optimizers from outside of their classes.
struct StateAccess;

}  // namespace detail

}}  // namespace symopt
