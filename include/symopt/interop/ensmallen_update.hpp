// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/interop/ensmallen_batches.hpp>
#include <symopt/optimizer/optimizer.hpp>

#include <cstddef>
#include <utility>

namespace symopt { inline namespace SYMOPT_ABI { namespace interop {

/// A rule as an update policy of ensmallen's SGD, for an iterate that is one matrix of Armadillo's,
/// column-major and in place:
///   using Policy = interop::EnsmallenUpdate<Update<HiddenMatrix>>;
///   ens::SGD<Policy> sgd(0.01, 32, epochs * samples, 1e-5, true,
///                        Policy({.batch_size = 32, .samples = samples}));
/// SGD hands a policy the sum of a batch's gradients, and since ensmallen 3 its step size divided by the size
/// of that batch, the last one of an epoch being what is left of the samples. For a rule of degree 0 that
/// would be a rate 32 times too small, and for AdamW a gradient 32 times too large; so the policy is told
/// both numbers and counts as SGD does, and rates and gradients are those of the mean: the step size of SGD
/// is the learning rate. The learning rate of `options` is not used. The block is the whole of SGD's iterate,
/// rows x cols as Armadillo has it; for the parameters of a network in one column see EnsmallenStack. A run
/// begins with a new policy, as it does unless SGD's resetPolicy is false. Cost: that of Optimizer and one
/// copy of the gradient. Errors: those of Optimizer.
template <class Rule>
class EnsmallenUpdate {
 public:
  /// The options of the policy.
  struct Settings {
    std::size_t batch_size = 0;  ///< SGD's, at least 1
    std::size_t samples = 0;     ///< the function's NumFunctions()
    OptimizerOptions options{};  ///< all but the learning rate
    Rule rule{};                 ///< what makes a direction
    /// By the batch's size: what the ensmallen at hand does, which a loop of your own may do otherwise.
    bool step_size_is_divided = detail::step_size_is_divided;
    std::size_t max_iterations = 0;  ///< SGD's, where they end within an epoch; 0 for no end
  };

  /// Errors: std::invalid_argument for a batch size or a number of samples of 0.
  EnsmallenUpdate(Settings settings) : settings_(std::move(settings)) {
    detail::require_batches("EnsmallenUpdate", settings_.batch_size, settings_.samples);
  }

  /// The policy of one run, as SGD makes it.
  template <class Iterate, class Gradient>
  class Policy {
    using Scalar = typename Iterate::elem_type;
    using Columns = Eigen::Matrix<Scalar, Eigen::Dynamic, Eigen::Dynamic, Eigen::ColMajor>;

   public:
    /// An optimizer for iterates of that shape; SGD makes it.
    Policy(const EnsmallenUpdate& parent, std::size_t rows, std::size_t cols)
        : step_size_is_divided_(parent.settings_.step_size_is_divided),
          batches_(parent.settings_.batch_size, parent.settings_.samples, parent.settings_.max_iterations),
          optimizer_(static_cast<Index>(rows), static_cast<Index>(cols),
                     with_unit_rate(parent.settings_.options), parent.settings_.rule) {}

    /// step_size: SGD's, divided by the batch's size or not; gradient: the sum over the batch.
    void Update(Iterate& iterate, double step_size, const Gradient& gradient) {
      const Index rows = static_cast<Index>(iterate.n_rows), cols = static_cast<Index>(iterate.n_cols);
      const double batch_size = static_cast<double>(batches_.next());
      Eigen::Map<Columns> weights(iterate.memptr(), rows, cols);
      mean_ = Eigen::Map<const Columns>(gradient.memptr(), static_cast<Index>(gradient.n_rows),
                                        static_cast<Index>(gradient.n_cols)) /
              static_cast<Scalar>(batch_size);
      optimizer_.set_schedule_factor(step_size_is_divided_ ? step_size * batch_size : step_size);
      optimizer_.step(weights, mean_);
    }

   private:
    static OptimizerOptions with_unit_rate(OptimizerOptions options) {
      options.learning_rate = 1;
      return options;
    }

    bool step_size_is_divided_;
    detail::BatchSizes batches_;
    Optimizer<Rule, Scalar> optimizer_;
    Columns mean_;
  };

 private:
  Settings settings_;
};

}}}  // namespace symopt::interop
