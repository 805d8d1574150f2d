// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/error.hpp>
#include <symopt/optimizer/optimizer.hpp>

#include <cstddef>
#include <string>
#include <utility>

namespace symopt { inline namespace SYMOPT_ABI { namespace interop {

/// A rule as an update policy of ensmallen's SGD, for Armadillo's matrices, column-major and in place:
///   using Policy = interop::EnsmallenUpdate<Update<HiddenMatrix>>;
///   ens::SGD<Policy> sgd(0.01, 32, epochs * samples, 1e-5, true, Policy({.batch_size = 32}));
/// SGD hands a policy the sum of a batch's gradients, and since ensmallen 3 its step size divided by the
/// batch size. For a rule that forgets how long a gradient is that would be a rate 32 times too small, and
/// for AdamW a gradient 32 times too long; so the policy is told the batch size (0 is refused), and rates and
/// gradients are those of the mean: the step size of SGD is the learning rate. ensmallen 2 does not divide:
/// say so with step_size_is_divided = false. The learning rate of `options` is not used. A last batch that is
/// smaller counts as a whole one for the momentum. The block is the whole of SGD's iterate: one matrix, rows
/// x cols as Armadillo has it. Cost: that of Optimizer and one copy of the gradient. Errors: those of
/// Optimizer.
template <class Rule>
class EnsmallenUpdate {
 public:
  /// What the policy is made of.
  struct Settings {
    std::size_t batch_size = 0;        ///< that of SGD
    OptimizerOptions options{};        ///< all but the learning rate
    Rule rule{};                       ///< what makes a direction
    bool step_size_is_divided = true;  ///< by the batch size: ensmallen 3 does, ensmallen 2 does not
  };

  /// Errors: std::invalid_argument for a batch size of 0.
  EnsmallenUpdate(Settings settings) : settings_(std::move(settings)) {
    if (settings_.batch_size == 0)
      throw Error(
          "EnsmallenUpdate: batch_size is 0; give it the batch size of SGD, whose gradients are sums "
          "over a batch");
  }

  /// What SGD makes for one run.
  template <class Iterate, class Gradient>
  class Policy {
    using Scalar = typename Iterate::elem_type;
    using Columns = Eigen::Matrix<Scalar, Eigen::Dynamic, Eigen::Dynamic, Eigen::ColMajor>;

   public:
    /// An optimizer for iterates of that shape; SGD makes it.
    Policy(EnsmallenUpdate& parent, std::size_t rows, std::size_t cols)
        : batch_size_(static_cast<double>(parent.settings_.batch_size)),
          rate_of_step_size_(parent.settings_.step_size_is_divided ? batch_size_ : 1.0),
          optimizer_(static_cast<Index>(rows), static_cast<Index>(cols),
                     with_unit_rate(parent.settings_.options), parent.settings_.rule) {}

    /// step_size: SGD's, divided by the batch size or not; gradient: the sum over the batch.
    void Update(Iterate& iterate, double step_size, const Gradient& gradient) {
      const Index rows = static_cast<Index>(iterate.n_rows), cols = static_cast<Index>(iterate.n_cols);
      Eigen::Map<Columns> weights(iterate.memptr(), rows, cols);
      mean_ = Eigen::Map<const Columns>(gradient.memptr(), static_cast<Index>(gradient.n_rows),
                                        static_cast<Index>(gradient.n_cols)) /
              static_cast<Scalar>(batch_size_);
      optimizer_.set_schedule_factor(step_size * rate_of_step_size_);
      optimizer_.step(weights, mean_);
    }

   private:
    static OptimizerOptions with_unit_rate(OptimizerOptions options) {
      options.learning_rate = 1;
      return options;
    }

    double batch_size_;
    double rate_of_step_size_;
    Optimizer<Rule, Scalar> optimizer_;
    Columns mean_;
  };

 private:
  Settings settings_;
};

}}}  // namespace symopt::interop
