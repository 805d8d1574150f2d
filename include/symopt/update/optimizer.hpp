// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/kernel/all_finite.hpp>
#include <symopt/kernel/framed_buffer.hpp>
#include <symopt/split_weights.hpp>
#include <symopt/update/block_step.hpp>
#include <symopt/update/rule_may_throw.hpp>
#include <symopt/update/state_step.hpp>
#include <symopt/update/update.hpp>

#include <concepts>
#include <cstdint>
#include <functional>
#include <stdexcept>
#include <string>
#include <type_traits>

namespace symopt { inline namespace SYMOPT_ABI {

/// What a step did.
struct StepReport {
  bool applied = false;      ///< false when a non-finite gradient was skipped
  std::int64_t step = 0;     ///< steps applied so far
  double learning_rate = 0;  ///< base rate times schedule factor of this step
};

namespace detail {

struct StateAccess;

/// What one block remembers between steps: the momentum, or the state of a stateful rule.
template <class Rule, class Scalar>
struct BlockState {
  explicit BlockState(Shape shape) : momentum(shape, momentum_sums_count_of_either_order<Rule>(shape)) {}

  kernel::FramedBuffer<Scalar> momentum;
};
template <class Rule, class Scalar>
requires StatefulRule<Rule, Scalar>
struct BlockState<Rule, Scalar> {
  using State = typename Rule::template State<Scalar>;
  /// Where a rule may throw, its state is kept to be put back.
  static constexpr bool is_kept = rule_may_throw<Rule, Scalar> && std::copyable<State>;
  struct NotKept {
    explicit NotKept(const State&) {}
  };

  explicit BlockState(Shape shape) : state(make_state<State>(shape)), before(state) {}

  State state;
  std::conditional_t<is_kept, State, NotKept> before;
};

/// What the step of one block works in.
template <class Rule, class Scalar>
struct BlockMemory : StepMemoryOfEitherOrder<Rule, Scalar> {
  using StepMemoryOfEitherOrder<Rule, Scalar>::StepMemoryOfEitherOrder;
};
template <class Rule, class Scalar>
requires StatefulRule<Rule, Scalar>
struct BlockMemory<Rule, Scalar> : StateMemory<Rule, Scalar> {
  using StateMemory<Rule, Scalar>::StateMemory;
};

}  // namespace detail

/// The optimizer of one block: owns the momentum (or the rule's state) and does the step
///   M <- momentum of G,   W <- (1 - rate * decay) W,   W <- W - rate * scale * Rule(M)
/// with rate = learning_rate * schedule factor.
///
/// Rule: an Update, a normalization, any callable, or a stateful rule such as AdamW.
/// Shapes: fixed at construction. Units: the learning rate multiplies the rule's direction.
/// Cost: for norms of rows, columns and blocks, signs, the identity and AdamW one sweep over memory or as few
/// as the rule needs (kernel/), and memory for the momentum and some lines; for others the rule's, a sweep
/// before it and one after it, and memory for the momentum, one direction and the rule's workspace. The check
/// of the gradient reads it once more, but where a first sweep reads it anyway. All memory is taken at
/// construction: step() allocates nothing (but for a rule that is only callable). Threads: all that OpenMP
/// gives; the results do not depend on how many. Errors: std::invalid_argument for options out of range,
/// shapes that differ, memory that overlaps or has an inner stride, and for a non-finite gradient unless told
/// otherwise. After an error weights and state are as they were.
template <class Rule, class Scalar = float>
class Optimizer {
  static_assert(RealScalar<Scalar>, "symopt optimizes float and double blocks");
  static_assert(StatelessRule<Rule, Scalar> || StatefulRule<Rule, Scalar>,
                "an optimizer needs a rule: callable on a matrix, returning one of the same scalar and "
                "shape, or with a State and operator()(weights, gradient, state, direction); see "
                "docs/adding-a-rule.md");
  static constexpr bool is_stateful = StatefulRule<Rule, Scalar>;
  using Projection = detail::projection_of_t<Rule>;

 public:
  using rule_type = Rule;      ///< what makes a direction
  using scalar_type = Scalar;  ///< of weights, gradients and momentum

  /// For blocks of rows x cols, with options that are validated here. Takes all memory.
  Optimizer(Index rows, Index cols, OptimizerOptions options = {}, Rule rule = {})
      : shape_(checked({rows, cols}, options)),
        options_(std::move(options)),
        rule_(std::move(rule)),
        state_(shape_),
        memory_(shape_, detail::scratch_options(options_)) {
    detail::validate_for_rule<Rule, Scalar>(options_);
    validated(rule_);
  }

  /// One step: reads `gradient`, changes `weights`. Both are dense memory of the block's shape, each in
  /// either storage order, with inner stride 1 and any outer stride; nothing is copied. A gradient may
  /// also be a formula, which is evaluated first.
  /// Of an optimizer in float, the gradient may be bfloat16, and so may the weights: these are rounded to the
  /// nearest after the step, or stochastically where stochastic(weights, seed) says so, and nothing else is
  /// kept of them.
  template <class Weights, class Gradient>
  StepReport step(Weights&& weights, const Eigen::MatrixBase<Gradient>& gradient) {
    require_types<Weights, Gradient>();
    return with_memory(gradient, [&](const auto& slope) {
      require_shape("weights", weights);
      require_disjoint("weights and gradient", weights, slope);
      if constexpr (std::same_as<typename std::remove_cvref_t<Weights>::Scalar, Scalar>) {
        return step_on(BlockView<Scalar>(weights), weights, slope);
      } else {
        return step_on({BlockView<bfloat16>(weights), kernel::Rounder{}}, weights, slope);
      }
    });
  }
  /// The same on bfloat16 weights that are rounded stochastically.
  template <class Weights, class Gradient>
  StepReport step(StochasticallyRounded<Weights> weights, const Eigen::MatrixBase<Gradient>& gradient) {
    require_types<Weights, Gradient>();
    return with_memory(gradient, [&](const auto& slope) {
      require_shape("weights", weights.block);
      require_disjoint("weights and gradient", weights.block, slope);
      return step_on({BlockView<bfloat16>(weights.block), rounder(weights.seed)}, weights.block, slope);
    });
  }

  /// The same, and writes the new weights into `copy` too, rounded to the nearest bfloat16: the weights that
  /// a model computes with beside the ones that are trained. Or stochastic(copy, seed).
  template <class Weights, class Gradient, class Copy>
  StepReport step(Weights&& weights, const Eigen::MatrixBase<Gradient>& gradient, Copy&& copy) {
    static_assert(is_writable_memory_v<Copy>, "the copy must be memory to write into");
    return step_and_copy(weights, gradient, copy, kernel::Rounder{});
  }
  /// The same with a copy that is rounded stochastically.
  template <class Weights, class Gradient, class Copy>
  StepReport step(Weights&& weights, const Eigen::MatrixBase<Gradient>& gradient,
                  StochasticallyRounded<Copy> copy) {
    return step_and_copy(weights, gradient, copy.block, rounder(copy.seed));
  }

  /// The same on weights in two halves (see split_weights): to the bit what it does to floats.
  template <class High, class Low, class Gradient>
  StepReport step(SplitWeights<High, Low> weights, const Eigen::MatrixBase<Gradient>& gradient) {
    static_assert(std::same_as<Scalar, float>, "split weights are floats: Optimizer<Rule, float>");
    require_types<High, Gradient>();
    return with_memory(gradient, [&](const auto& slope) {
      require_shape("weights' upper half", weights.high);
      require_shape("weights' lower half", weights.low);
      require_disjoint("weights and gradient", weights.high, slope);
      require_disjoint("weights and gradient", weights.low, slope);
      require_disjoint("the weights' halves", weights.high, weights.low);
      return step_on({BlockView<bfloat16>(weights.high), BlockView<std::uint16_t>(weights.low)}, weights.high,
                     slope);
    });
  }

  /// What the optimizer was made of.
  ///@{
  const OptimizerOptions& options() const { return options_; }
  const Rule& rule() const { return rule_; }
  Shape shape() const { return shape_; }
  ///@}

  /// Steps applied so far.
  std::int64_t steps() const { return steps_; }
  /// What multiplies the learning rate.
  double schedule_factor() const { return schedule_factor_; }

  /// Options that may change between steps. Errors: std::invalid_argument, and the old value stays.
  ///@{
  void set_learning_rate(double rate) {
    change([&](OptimizerOptions& o) { o.learning_rate = rate; });
  }
  void set_momentum(double beta) {
    change([&](OptimizerOptions& o) { o.momentum = beta; });
  }
  void set_weight_decay(double decay) {
    change([&](OptimizerOptions& o) { o.weight_decay = decay; });
  }
  ///@}

  /// The factor on the learning rate from now on; see schedule.hpp.
  void set_schedule_factor(double factor) {
    detail::require_in_range(options_, "schedule factor", factor, factor >= 0, "finite and not negative");
    schedule_factor_ = factor;
  }

  /// The momentum, rows x cols, as a read-only view.
  auto momentum() const requires(!is_stateful) { return state_.momentum.view(); }

  /// The state of a stateful rule.
  const auto& state() const requires is_stateful { return state_.state; }

 private:
  friend detail::StateAccess;

  static Shape checked(Shape shape, const OptimizerOptions& options) {
    if (shape.rows < 0 || shape.cols < 0)
      throw std::invalid_argument("symopt: parameter '" + options.parameter + "': the block cannot be " +
                                  to_string(shape));
    return shape;
  }

  void change(auto set) {
    OptimizerOptions changed = options_;
    set(changed);
    detail::validate_for_rule<Rule, Scalar>(changed);
    options_ = std::move(changed);
  }

  /// The storage types that a step accepts.
  template <class Weights, class Gradient>
  static constexpr void require_types() {
    using W = typename std::remove_cvref_t<Weights>::Scalar;
    using G = typename Gradient::Scalar;
    static_assert(is_writable_memory_v<Weights>,
                  "the weights must be memory to update: a Matrix, Map, Ref or Block");
    constexpr bool takes_bfloat16 = std::same_as<Scalar, float>;
    static_assert(
        (std::same_as<Scalar, W> || (takes_bfloat16 && std::same_as<W, bfloat16>)) &&
            (std::same_as<Scalar, G> || (takes_bfloat16 && std::same_as<G, bfloat16>)),
        "weights and gradient must have the optimizer's scalar: Optimizer<Rule, double> for double");
  }

  /// call(gradient as memory of the block's shape)
  template <class Gradient>
  StepReport with_memory(const Eigen::MatrixBase<Gradient>& gradient, const auto& call) const {
    if constexpr (is_memory_v<Gradient>) {
      require_shape("gradient", gradient.derived());
      return call(gradient.derived());
    } else {
      return with_memory(gradient.eval(), call);
    }
  }

  template <class Weights, class Gradient, class Copy>
  StepReport step_and_copy(Weights& weights, const Eigen::MatrixBase<Gradient>& gradient, Copy& copy,
                           const kernel::Rounder& rounder) {
    require_types<Weights, Gradient>();
    static_assert(std::same_as<Scalar, float> && std::same_as<Scalar, typename Weights::Scalar> &&
                      std::same_as<typename Copy::Scalar, bfloat16>,
                  "a copy in bfloat16 goes with weights in float");
    return with_memory(gradient, [&](const auto& slope) {
      require_shape("weights", weights);
      require_shape("copy", copy);
      require_disjoint("weights and gradient", weights, slope);
      require_disjoint("copy and gradient", copy, slope);
      require_disjoint("weights and copy", weights, copy);
      return step_on({BlockView<float>(weights), BlockView<bfloat16>(copy), rounder}, weights, slope);
    });
  }

  kernel::Rounder rounder(std::uint64_t seed) const {
    return {Rounding::stochastic,
            kernel::RandomKey::of(seed, options_.parameter, 0, static_cast<std::uint64_t>(steps_))};
  }

  template <class Block>
  void require_shape(const char* what, const Block& block) const {
    if (shape_of(block) != shape_)
      throw std::invalid_argument("symopt: parameter '" + options_.parameter + "': the shape of the " + what +
                                  " is " + to_string(shape_of(block)) + " but the optimizer was made for " +
                                  to_string(shape_) + "; make one optimizer per block");
    if (block.innerStride() != 1 && block.innerSize() > 1)
      throw std::invalid_argument("symopt: parameter '" + options_.parameter + "': the inner stride of the " +
                                  what + " is " + std::to_string(block.innerStride()) +
                                  "; pass memory whose rows or columns are contiguous");
    if (block.size() > 0 &&
        reinterpret_cast<std::uintptr_t>(block.data()) % alignof(typename Block::Scalar) != 0)
      throw std::invalid_argument("symopt: parameter '" + options_.parameter + "': the memory of the " +
                                  what + " begins between two scalars; it must begin at a multiple of " +
                                  std::to_string(alignof(typename Block::Scalar)) + " bytes");
  }

  template <class First, class Second>
  void require_disjoint(const char* what, const First& first, const Second& second) const {
    if (shape_.rows == 0 || shape_.cols == 0) return;
    const auto begin = [](const auto& block) { return static_cast<const void*>(block.data()); };
    const auto end = [](const auto& block) {
      return static_cast<const void*>(block.data() + (block.outerSize() - 1) * block.outerStride() +
                                      block.innerSize());
    };
    const std::less<const void*> before;
    if (before(begin(first), end(second)) && before(begin(second), end(first)) && !interleaved(first, second))
      throw std::invalid_argument("symopt: parameter '" + options_.parameter + "': " + what +
                                  " overlap in memory; keep them apart");
  }

  /// Two column ranges of one larger row-major matrix (or the like) share an address range but no element.
  template <class First, class Second>
  static bool interleaved(const First& first, const Second& second) {
    if constexpr (std::same_as<typename First::Scalar, typename Second::Scalar>) {
      const Index stride = first.outerStride();
      if (stride != second.outerStride() || stride <= 0 || is_row_major_v<First> != is_row_major_v<Second>)
        return false;
      Index offset = (second.data() - first.data()) % stride;
      if (offset < 0) offset += stride;
      return offset >= first.innerSize() && offset + second.innerSize() <= stride;
    } else {
      return false;
    }
  }

  /// The step on memory, all of it in the shape of the block; `weights` is the Eigen object whose storage
  /// order chooses the frame.
  template <class Weights, class Gradient>
  StepReport step_on(const kernel::WeightsView<Scalar>& memory, const Weights& weights,
                     const Gradient& gradient) {
    if (weights.outerSize() > 1 && weights.outerStride() < weights.innerSize())
      throw std::invalid_argument(
          "symopt: parameter '" + options_.parameter +
          "': the lines of the weights overlap each other, so that some entries would "
          "be updated more than once; give them memory of their own");
    const double rate = options_.learning_rate * schedule_factor_;
    const detail::StepFactors factors{rate * options_.weight_decay,
                                      rate * scale_factor(options_.scale, shape_)};
    const kernel::StepCoefficients coefficients = detail::step_coefficients(options_, factors);
    const kernel::Check check =
        options_.non_finite == NonFinite::unchecked ? kernel::Check::nothing : kernel::Check::gradient;
    if (run(memory, weights, gradient, coefficients, check)) return {true, ++steps_, rate};
    if (options_.non_finite == NonFinite::skip) return {false, steps_, rate};
    throw std::invalid_argument("symopt: parameter '" + options_.parameter +
                                "': the gradient has an Inf or NaN; nothing was changed. Lower the learning "
                                "rate or clip upstream, or set non_finite = NonFinite::skip");
  }

  /// In the frame in which the weights' memory runs along rows. False for a gradient that is not finite.
  template <class Weights, class Gradient>
  bool run(const kernel::WeightsView<Scalar>& memory, const Weights& weights, const Gradient& gradient,
           const kernel::StepCoefficients& coefficients, kernel::Check check) {
    constexpr bool is_transposed = !is_row_major_v<Weights>;
    const kernel::GradientView<Scalar> slope(BlockView<const typename Gradient::Scalar>{gradient});
    const kernel::GradientView<Scalar> g = is_transposed ? slope.transposed() : slope;
    const kernel::WeightsView<Scalar> w = is_transposed ? memory.transposed() : memory;
    if constexpr (HasFusedState<Rule, Scalar>) {
      return rule_.fused_step(g, w, is_transposed, state_.state, coefficients, check);
    } else if constexpr (is_stateful) {
      if (check == kernel::Check::gradient && !kernel::all_finite(slope)) return false;
      keep_state_if_it_throws([&] {
        detail::step_with_state<is_transposed>(rule_, readable(memory, weights), readable(slope, gradient),
                                               state_.state, g, w, coefficients, memory_);
      });
      return true;
    } else {
      const kernel::Streams<Scalar> streams{g, state_.momentum.in_frame(is_transposed), w,
                                            &state_.momentum.sums()};
      auto& work = memory_.template in_frame<is_transposed>();
      if constexpr (is_transposed) {
        return detail::step_block<decltype(Projection{}.mirrored())>(mirror(rule_), coefficients, check, streams,
                                                                     work);
      } else {
        return detail::step_block<Projection>(rule_, coefficients, check, streams, work);
      }
    }
  }

  void keep_state_if_it_throws(const auto& step) {
    if constexpr (detail::BlockState<Rule, Scalar>::is_kept) {
      state_.before = state_.state;
      try {
        step();
      } catch (...) {
        state_.state = state_.before;
        throw;
      }
    } else {
      step();
    }
  }

  /// What a stateful rule is shown: the memory itself, or a copy in the scalar that it computes in.
  template <class Block>
  static decltype(auto) readable(const auto& memory, const Block& block) {
    if constexpr (std::same_as<typename Block::Scalar, Scalar>) {
      return (block);
    } else {
      Matrix<Scalar> copy(block.rows(), block.cols());
      for (Index i = 0; i < copy.rows(); ++i)
        for (Index j = 0; j < copy.cols(); ++j) copy(i, j) = memory.at(i, j);
      return copy;
    }
  }

  Shape shape_;
  OptimizerOptions options_;
  Rule rule_;
  detail::BlockState<Rule, Scalar> state_;
  detail::BlockMemory<Rule, Scalar> memory_;
  double schedule_factor_ = 1.0;
  std::int64_t steps_ = 0;
};

}}  // namespace symopt
