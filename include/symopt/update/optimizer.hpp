// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/kernel/all_finite.hpp>
#include <symopt/update/block_step.hpp>
#include <symopt/update/rule_may_throw.hpp>
#include <symopt/update/update.hpp>

#include <concepts>
#include <cstdint>
#include <functional>
#include <stdexcept>
#include <string>
#include <type_traits>

namespace symopt::inline SYMOPT_ABI {

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
  explicit BlockState(Shape shape) : momentum(shape.rows * shape.cols) {}

  kernel::Buffer<Scalar> momentum;
  bool momentum_is_transposed = false;
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

}  // namespace detail

/// The optimizer of one block: owns the momentum (or the rule's state) and does the step
///   M <- momentum of G,   W <- (1 - rate * decay) W,   W <- W - rate * scale * Rule(M)
/// with rate = learning_rate * schedule factor.
///
/// Rule: an Update, a normalization, any callable, or a stateful rule such as AdamW.
/// Shapes: fixed at construction. Units: the learning rate multiplies the rule's direction.
/// Cost: the rule's and two sweeps; memory the momentum, one direction and the rule's workspace, all
/// taken at construction: step() allocates nothing (but for a rule that is only callable).
/// Errors: std::invalid_argument for options out of range, shapes that differ, memory that overlaps or has
/// an inner stride, and for a non-finite gradient unless told otherwise. After an error weights and state are
/// as they were.
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
        memory_(shape_, options_) {
    detail::validate_for_rule<Rule, Scalar>(options_);
    validated(rule_);
  }

  /// One step: reads `gradient`, changes `weights`. Both are dense memory of the block's shape, each in
  /// either storage order, with inner stride 1 and any outer stride; nothing is copied. A gradient may
  /// also be a formula, which is evaluated first.
  template <class Weights, class Gradient>
  StepReport step(Weights&& weights, const Eigen::MatrixBase<Gradient>& gradient) {
    static_assert(is_writable_memory_v<Weights>,
                  "the weights must be memory to update: a Matrix, Map, Ref or Block");
    static_assert(
        std::same_as<Scalar, typename std::remove_cvref_t<Weights>::Scalar> &&
            std::same_as<Scalar, typename Gradient::Scalar>,
        "weights and gradient must have the optimizer's scalar: Optimizer<Rule, double> for double");
    if constexpr (is_memory_v<Gradient>) {
      require_shape("weights", weights);
      require_shape("gradient", gradient.derived());
      require_disjoint(weights, gradient.derived());
      return step_on_memory(weights, gradient.derived());
    } else {
      return step(weights, gradient.eval());
    }
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
  auto momentum() const requires(!is_stateful) {
    using Stride = Eigen::Stride<Eigen::Dynamic, Eigen::Dynamic>;
    const bool swapped = state_.momentum_is_transposed;
    return Eigen::Map<const Matrix<Scalar>, 0, Stride>(
        state_.momentum.as(shape_).data(), shape_.rows, shape_.cols,
        swapped ? Stride(1, shape_.rows) : Stride(shape_.cols, 1));
  }

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
    if (block.size() > 0 && reinterpret_cast<std::uintptr_t>(block.data()) % alignof(Scalar) != 0)
      throw std::invalid_argument("symopt: parameter '" + options_.parameter + "': the memory of the " +
                                  what + " begins between two scalars; it must begin at a multiple of " +
                                  std::to_string(alignof(Scalar)) + " bytes");
  }

  template <class Weights, class Gradient>
  void require_disjoint(const Weights& weights, const Gradient& gradient) const {
    if (shape_.rows == 0 || shape_.cols == 0) return;
    const auto end = [](const auto& block) {
      return block.data() + (block.outerSize() - 1) * block.outerStride() + block.innerSize();
    };
    const std::less<const Scalar*> before;
    if (before(weights.data(), end(gradient)) && before(gradient.data(), end(weights)) &&
        !interleaved(weights, gradient))
      throw std::invalid_argument("symopt: parameter '" + options_.parameter +
                                  "': weights and gradient overlap in memory; keep them apart");
  }

  /// Two column ranges of one larger row-major matrix (or the like) share an address range but no element.
  template <class Weights, class Gradient>
  static bool interleaved(const Weights& weights, const Gradient& gradient) {
    const Index stride = weights.outerStride();
    if (stride != gradient.outerStride() || stride <= 0 ||
        is_row_major_v<Weights> != is_row_major_v<Gradient>)
      return false;
    Index offset = (gradient.data() - weights.data()) % stride;
    if (offset < 0) offset += stride;
    return offset >= weights.innerSize() && offset + gradient.innerSize() <= stride;
  }

  template <class Weights, class Gradient>
  StepReport step_on_memory(Weights& weights, const Gradient& gradient) {
    const double rate = options_.learning_rate * schedule_factor_;
    if (options_.non_finite != NonFinite::unchecked &&
        !kernel::all_finite<Scalar>(BlockView<const Scalar>(gradient))) {
      if (options_.non_finite == NonFinite::skip) return {false, steps_, rate};
      throw std::invalid_argument(
          "symopt: parameter '" + options_.parameter +
          "': the gradient has an Inf or NaN; nothing was changed. Lower the learning "
          "rate or clip upstream, or set non_finite = NonFinite::skip");
    }

    const detail::StepFactors factors{rate * options_.weight_decay,
                                      rate * scale_factor(options_.scale, shape_)};
    // From here on in the frame in which the weights are row-major.
    if constexpr (is_row_major_v<Weights>) {
      step_in_frame(rule_, Projection{}, factors, weights, gradient, BlockView<Scalar>(weights),
                    BlockView<const Scalar>(gradient));
    } else {
      step_in_frame(mirror_of_rule(), Projection{}.mirrored(), factors, weights, gradient,
                    BlockView<Scalar>(weights).transposed(), BlockView<const Scalar>(gradient).transposed());
    }
    return {true, ++steps_, rate};
  }

  /// The mirrored rule, but for a stateful one, which sees the block as it lies.
  decltype(auto) mirror_of_rule() const {
    if constexpr (is_stateful) {
      return (rule_);
    } else {
      return mirror(rule_);
    }
  }

  /// `w` and `slope` are the views of weights and gradient in that frame.
  void step_in_frame(const auto& map, const auto& projection, detail::StepFactors factors, auto& weights,
                     const auto& gradient, const BlockView<Scalar>& w, const BlockView<const Scalar>& slope) {
    if constexpr (is_stateful) {
      MatrixRef<Scalar> direction = memory_.direction.as(shape_of(w));
      auto own = in_order_of(weights, direction);
      const auto call = [&] { map(std::as_const(weights), gradient, state_.state, own); };
      if constexpr (detail::BlockState<Rule, Scalar>::is_kept) {
        state_.before = state_.state;
        try {
          call();
        } catch (...) {
          state_.state = state_.before;
          throw;
        }
      } else {
        call();
      }
      detail::apply_direction(projection, options_.decay, factors, w, direction, memory_);
    } else {
      constexpr bool is_transposed = !is_row_major_v<decltype(weights)>;
      if (state_.momentum_is_transposed != is_transposed) transpose_momentum();
      MatrixRef<Scalar> momentum = state_.momentum.as(shape_of(w));
      detail::step_block(map, projection, options_, factors, w, slope, BlockView<Scalar>(momentum), memory_);
    }
  }

  /// The row-major view seen in the storage order of `weights`, rows x cols again.
  template <class Weights>
  static auto in_order_of(const Weights&, MatrixRef<Scalar>& block) {
    constexpr int order = is_row_major_v<Weights> ? Eigen::RowMajor : Eigen::ColMajor;
    using Ordered = Eigen::Matrix<Scalar, Eigen::Dynamic, Eigen::Dynamic, order>;
    const Shape shape = is_row_major_v<Weights> ? shape_of(block) : transposed(shape_of(block));
    return Eigen::Map<Ordered, 0, Eigen::OuterStride<>>(block.data(), shape.rows, shape.cols,
                                                        Eigen::OuterStride<>(block.outerStride()));
  }

  /// Turns the momentum into the other storage order, by way of the direction's memory, which is free here.
  void transpose_momentum() {
    MatrixRef<Scalar> copy = memory_.direction.as(shape_);
    copy = momentum();
    state_.momentum_is_transposed = !state_.momentum_is_transposed;
    if (state_.momentum_is_transposed) {
      state_.momentum.as(transposed(shape_)) = copy.transpose();
    } else {
      state_.momentum.as(shape_) = copy;
    }
  }

  Shape shape_;
  OptimizerOptions options_;
  Rule rule_;
  detail::BlockState<Rule, Scalar> state_;
  detail::StepMemory<Rule, Scalar> memory_;
  double schedule_factor_ = 1.0;
  std::int64_t steps_ = 0;
};

}  // namespace symopt
