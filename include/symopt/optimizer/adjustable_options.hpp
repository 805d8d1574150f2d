// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/optimizer/options.hpp>

#include <cstdint>
#include <utility>

namespace symopt { inline namespace SYMOPT_ABI {

namespace detail {

struct StateAccess;

}  // namespace detail

/// The options of an optimizer, of which some may change between steps, and the number of these: what
/// Optimizer, PairOptimizer and mpi::RowOptimizer have in common. `Own` is the optimizer, which judges a
/// change by its member
///   void require_usable(const OptimizerOptions& changed, double schedule_factor) const
template <class Own>
class AdjustableOptions {
 public:
  /// The options that the optimizer was made with, as they are now.
  const OptimizerOptions& options() const { return options_; }
  /// Steps applied so far.
  std::int64_t steps() const { return steps_; }
  /// The factor on the learning rate, as set_schedule_factor sets it.
  double schedule_factor() const { return schedule_factor_; }

  // Options that may change between steps; where several processes share a block, on all of them alike.

  /// The learning rate from now on. Errors: std::invalid_argument, and the old value stays; so below.
  void set_learning_rate(double rate) {
    change([&](OptimizerOptions& o) { o.learning_rate = rate; });
  }
  /// The factor beta of the momentum from now on.
  void set_momentum(double beta) {
    change([&](OptimizerOptions& o) { o.momentum = beta; });
  }
  /// The weight decay from now on.
  void set_weight_decay(double decay) {
    change([&](OptimizerOptions& o) { o.weight_decay = decay; });
  }
  /// The factor on the learning rate from now on; see schedule.hpp.
  void set_schedule_factor(double factor) {
    detail::require_in_range(options_, "schedule factor", factor, factor >= 0, "finite and not negative");
    own().require_usable(options_, factor);
    schedule_factor_ = factor;
  }

 protected:
  /// \cond for the optimizers alone
  explicit AdjustableOptions(OptimizerOptions options) : options_(std::move(options)) {}

  /// The rate of the next step.
  double rate() const { return options_.learning_rate * schedule_factor_; }

  OptimizerOptions options_;      ///< as they are now
  double schedule_factor_ = 1.0;  ///< on the learning rate
  std::int64_t steps_ = 0;        ///< applied so far

  /// \endcond

 private:
  friend detail::StateAccess;

  const Own& own() const { return static_cast<const Own&>(*this); }

  void change(auto set) {
    OptimizerOptions changed = options_;
    set(changed);
    own().require_usable(changed, schedule_factor_);
    options_ = std::move(changed);
  }
};

}}  // namespace symopt
