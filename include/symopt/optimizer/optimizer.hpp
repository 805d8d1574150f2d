// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/derive/update.hpp>
#include <symopt/memory/countable.hpp>
#include <symopt/optimizer/adjustable_options.hpp>
#include <symopt/optimizer/block.hpp>
#include <symopt/optimizer/careful_step.hpp>
#include <symopt/optimizer/step_weights.hpp>

#include <concepts>
#include <cstdint>
#include <type_traits>
#include <utility>

namespace symopt { inline namespace SYMOPT_ABI {

/// The report of a step.
struct StepReport {
  bool applied = false;      ///< false when a non-finite gradient was skipped
  std::int64_t step = 0;     ///< steps applied so far
  double learning_rate = 0;  ///< base rate times schedule factor of this step
};

namespace detail {

/// The stand-in for a copy of the state where no step has to put it back.
struct NotKept {
  explicit NotKept(const auto&) {}
};

}  // namespace detail

/// The optimizer of one block: owns the momentum (or the rule's state) and does the step
///   M <- momentum of G,   W <- (1 - rate * decay) W,   W <- W - rate * scale * Rule(M)
/// with rate = learning_rate * schedule factor.
///
/// Rule: an Update, a normalization, any callable, or a stateful rule such as AdamW.
/// Shapes: fixed at construction. Units: the learning rate multiplies the rule's direction.
/// Cost: for norms of rows, columns and blocks, signs, the identity, AdamW, second moments and row-major
/// heads one sweep over memory or as few as the rule needs (kernel/), and memory for the momentum (AdamW: two
/// moments) and some lines; for others the rule's, a sweep before it and one after it, and memory for the
/// momentum, one direction and the rule's workspace. The check of the gradient reads it once more, but where
/// a first sweep reads it anyway. Memory for row-major weights is taken at construction, what column-major
/// ones need besides at their first step; no other step allocates (but for a rule that is only callable).
/// Threads: all that OpenMP gives; the results do not depend on how many. Errors: std::invalid_argument for
/// options out of range, shapes that differ, memory that overlaps or has an inner stride, and for a
/// non-finite gradient, or a step out of the range of Scalar, unless told otherwise. After an error weights
/// and state are as they were.
template <class Rule, class Scalar = float>
class Optimizer : public AdjustableOptions<Optimizer<Rule, Scalar>> {
  static_assert(RealScalar<Scalar>, "symopt optimizes float and double blocks");
  static_assert(
      StatelessRule<Rule, Scalar> || StatefulRule<Rule, Scalar> || !detail::StatesFamilies<Rule>,
      "this is a group, and an optimizer needs a rule: write Optimizer<Update<Group>> for the update that "
      "the group derives");
  static_assert(StatelessRule<Rule, Scalar> || StatefulRule<Rule, Scalar>,
                "an optimizer needs a rule: callable on a matrix, returning one of the same scalar and "
                "shape, or with a State and operator()(weights, gradient, state, direction); see "
                "docs/adding-a-rule.md");
  static constexpr bool is_stateful = StatefulRule<Rule, Scalar>;
  using Block = detail::Block<Rule, Scalar>;
  using Adjustable = AdjustableOptions<Optimizer>;

 public:
  using rule_type = Rule;      ///< what makes a direction
  using scalar_type = Scalar;  ///< of weights, gradients and momentum

  /// An optimizer of blocks of rows x cols; takes the memory of row-major weights. Errors:
  /// std::invalid_argument for options out of range, and for those that do not suit the rule.
  Optimizer(Index rows, Index cols, OptimizerOptions options = {}, Rule rule = {})
      : Adjustable(std::move(options)),
        rule_(std::move(rule)),
        block_(detail::require_block_shape<Scalar>({rows, cols}, options_.parameter),
               {detail::scratch_options(options_)}) {
    block_.template reserve<detail::Orientation::along_rows>();
    detail::validated_in<Scalar>(rule_.rule);
    require_usable(options_, 1);
  }

  /// One step: reads `gradient`, changes `weights`. Both are dense memory of the block's shape, each in
  /// either storage order, with inner stride 1 and any outer stride; nothing is copied. A gradient may
  /// also be a formula, which is evaluated first.
  /// In an optimizer in float, the gradient may be bfloat16, and the weights
  ///   memory of bfloat16          rounded to the nearest after the step; nothing else is kept of them
  ///   stochastic(weights, seed)   memory of bfloat16, rounded stochastically after the step
  ///   split_weights(high, low)    floats in two halves: to the bit what it does to floats
  ///   with_copy(weights, copy)    floats, and their copy in bfloat16 is written too
  template <class Weights, class Gradient>
  StepReport step(Weights&& weights, const Eigen::MatrixBase<Gradient>& gradient) {
    using Given = detail::StepWeights<Scalar, std::remove_cvref_t<Weights>>;
    static_assert(detail::are_storable<Scalar, Weights, Gradient>());  // first, as are its sentences
    if constexpr (detail::is_memory_v<Gradient>) {
      const Given given(weights, [this](std::uint64_t seed) { return rounder(seed); });
      given.memory.require_usable(shape(), detail::memory_of("gradient", gradient.derived()),
                                  options_.parameter);
      using GradientScalar = typename Gradient::Scalar;
      return step_along<detail::orientation_v<typename Given::Storage>>(
          detail::BlockView<const GradientScalar>(gradient.derived()), given.view);
    } else {
      return step(weights, gradient.eval());
    }
  }
  /// The step of with_copy(weights, copy).
  template <class Weights, class Gradient, class Copy>
  StepReport step(Weights&& weights, const Eigen::MatrixBase<Gradient>& gradient, Copy&& copy) {
    return step(with_copy(weights, copy), gradient);
  }

  /// The rule and the block's shape that the optimizer was made with.
  ///@{
  const Rule& rule() const { return rule_.rule; }
  Shape shape() const { return block_.shape(); }
  ///@}

  /// The momentum, rows x cols, as a read-only view.
  auto momentum() const requires(!is_stateful) { return block_.memory().view(); }

  /// The state of a stateful rule.
  const auto& state() const requires is_stateful { return block_.memory(); }

 private:
  friend detail::StateAccess;
  friend Adjustable;
  using Adjustable::options_;
  using Adjustable::schedule_factor_;
  using Adjustable::steps_;

  double scale_factor() const { return detail::scale_factor_of(rule(), options_.scale, shape()); }

  void require_usable(const OptimizerOptions& options, double schedule_factor) const {
    detail::validate_for_rule<Rule, Scalar>(options);
    detail::require_factors_in_range<Scalar>(options, schedule_factor, scale_factor());
  }

  kernel::Rounder rounder(std::uint64_t seed) const {
    return {Rounding::stochastic,
            kernel::RandomKey::of(seed, options_.parameter, 0, static_cast<std::uint64_t>(steps_))};
  }

  template <detail::Orientation orientation>
  StepReport step_along(const kernel::GradientView<Scalar>& gradient,
                        const kernel::WeightsView<Scalar>& weights) {
    const double rate = this->rate(), scale = scale_factor();
    detail::require_factors_in_range<Scalar>(options_, schedule_factor_, scale);
    const char* reason =
        refused<orientation>({gradient, weights, detail::step_coefficients(options_, rate, scale)});
    if (reason == nullptr) return {true, ++steps_, rate};
    if (options_.non_finite == NonFinite::skip) return {false, steps_, rate};
    detail::refuse_step(reason, options_.parameter);
  }

  /// Steps; or says why not, and has changed nothing.
  template <detail::Orientation orientation>
  const char* refused(detail::StepInput<Scalar> input) {
    if (options_.non_finite == NonFinite::unchecked) {
      input.check = kernel::Check::nothing;
      step_or_restore<orientation>(input);
      return nullptr;
    }
    input.largest_gradient = detail::usual_gradient<Scalar>;
    if (block_.is_in_range(rule_, input, true) && step_or_restore<orientation>(input)) return nullptr;
    if (!kernel::all_finite(input.gradient)) return "the gradient has an Inf or NaN";
    if (detail::careful_step<orientation>(block_, rule_, input)) return nullptr;
    return detail::out_of_range;
  }

  /// A state that a rule may leave half changed is kept, and put back; so is one that has moved on before the
  /// direction was found to be too large.
  template <detail::Orientation orientation>
  bool step_or_restore(const detail::StepInput<Scalar>& input) {
    if constexpr (is_kept) {
      kept_ = block_.memory();
      try {
        const bool is_applied = block_.template step<orientation>(rule_, input);
        if (!is_applied) block_.restore(kept_);
        return is_applied;
      } catch (...) {
        block_.restore(kept_);
        throw;
      }
    } else {
      return block_.template step<orientation>(rule_, input);
    }
  }
  static constexpr bool is_kept =
      is_stateful && !detail::HasFusedState<Rule, Scalar> && std::copyable<typename Block::Memory>;

  detail::BlockRule<Rule, Scalar> rule_;
  Block block_;
  std::conditional_t<is_kept, typename Block::Memory, detail::NotKept> kept_{block_.memory()};
};

}}  // namespace symopt
