// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/memory/countable.hpp>
#include <symopt/optimizer/optimizer.hpp>
#include <symopt/pair/pair_block.hpp>
#include <symopt/pair/pair_options.hpp>
#include <symopt/pair/pair_update.hpp>

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace symopt { inline namespace SYMOPT_ABI {

namespace detail {

/// Memory that a step touches, and what errors call it.
struct TouchedMemory {
  MatrixMemory memory;
  bool is_written;
};

}  // namespace detail

/// The optimizer of a pair of blocks A (m x r) and B (n x r) of which only the product Z = A B^T matters:
/// owns both momenta and does the step
///   M <- momentum of G, both;   (U_A, U_B) = Rule(M_A, M_B) at the present A and B
///   A <- sqrt(1 - rate decay) A - rate scale / 2 U_A, and B likewise
/// with rate = learning_rate * schedule factor. Equivariant under the gauge of the pair: twin trainings from
/// A and B, and from A g and B g^-T, have one product Z for ever, up to rounding.
///
/// Units: the learning rate times the scale is the length of a step of Z, to first order: its spectral norm
/// for N = Spectral under algebra::Full; each block does half of it. Z shrinks by 1 - rate decay.
/// Scale::match_rms is 0.2 sqrt(max(m, n)), AdamW's units for Z.
/// Damping: the metric of B is Pi(B^T B) + delta^2 Pi(A^T A)^-1 and mirrored, with delta = damping * rate *
/// scale, so that where the product is smaller than a step, as LoRA's at B = 0, neither block is moved by
/// much more than its own length. It moves with the gauge, which lambda I would not.
/// Cost: PairUpdate's, and two sweeps over each block: for floats under algebra::Full and a polar factor or a
/// Frobenius norm no others, of three reads, and of three reads and two writes. All memory is taken at
/// construction: the momenta, a direction for each block, and for algebra::Full the longer side in double, or
/// for floats up to 16 slabs of 400 lines in double where that is more. A step of row- or column-major memory
/// allocates nothing, but where the order of memory changes. Up to 16 threads share a step.
/// Errors: Error for options out of range, shapes that differ, memory that overlaps, and a non-finite
/// gradient, or a step out of the range of Scalar, unless told otherwise. After an error weights and state
/// are as they were.
template <class Rule, class Scalar = float>
class PairOptimizer : public AdjustableOptions<PairOptimizer<Rule, Scalar>> {
  static_assert(RealScalar<Scalar>, "symopt optimizes float and double blocks");
  static_assert(!PairGroup<Rule>,
                "this is a group, and an optimizer needs a rule: write PairOptimizer<PairUpdate<Group>> for "
                "the update that the group derives");
  static_assert(PairGroup<Rule> || PairRule<Rule>,
                "an optimizer of pairs needs a rule for pairs: PairUpdate<Group>; see docs/pairs.md");
  using Adjustable = AdjustableOptions<PairOptimizer>;

 public:
  using rule_type = Rule;      ///< what makes directions
  using scalar_type = Scalar;  ///< of weights, gradients and momenta

  /// An optimizer of pairs A of m x r, B of n x r. Errors: Error for sizes or options out of range.
  PairOptimizer(Index m, Index n, Index r, OptimizerOptions options = {}, PairOptions pair = {},
                Rule rule = {})
      : Adjustable(std::move(options)),
        pair_(pair),
        rule_(std::move(rule)),
        extents_(checked({m, n, r})),
        step_(extents_, pair_.is_horizontal),
        momenta_a_(static_cast<std::size_t>(pair_.blocks_of_a), kernel::OrientedBuffer<Scalar>({m, r})),
        momenta_b_(static_cast<std::size_t>(pair_.blocks_of_b), kernel::OrientedBuffer<Scalar>({n, r})) {
    detail::validated_for<Scalar>(options_.parameter, rule_.normalization());
    require_usable(options_, schedule_factor_);
    a_.blocks.reserve(momenta_a_.size());
    b_.blocks.reserve(momenta_b_.size());
  }

  /// One step: reads the gradients, changes the weights. All are dense memory of the pair's shapes, in either
  /// storage order, transposed views among them: step(up, d_up, down.transpose(), d_down.transpose()) for
  /// LoRA's matrices as they are stored. Weights as Optimizer::step has them, in bfloat16, split or with a
  /// copy. Where several blocks share one, vectors of Maps or Refs.
  template <class A, class GradientA, class B, class GradientB>
  StepReport step(A&& a, const GradientA& gradient_a, B&& b, const GradientB& gradient_b) {
    const double rate = this->rate(), scale = scale_factor();
    require_usable(options_, schedule_factor_);
    memory_.clear();
    collect("A", a, gradient_a, extents_.shape.a(), momenta_a_, a_);
    collect("B", b, gradient_b, extents_.shape.b(), momenta_b_, b_);
    require_apart();
    const kernel::StepCoefficients coefficients =
        detail::of_one_block(detail::step_coefficients(options_, rate, scale));
    const char* reason = refused(coefficients, pair_.damping * rate * scale);
    if (reason == nullptr) return {true, ++steps_, rate};
    if (options_.non_finite == NonFinite::skip) return {false, steps_, rate};
    detail::refuse_step(reason, options_.parameter);
  }

  /// The options of pairs, the rule and the shape that the optimizer was made with.
  ///@{
  const PairOptions& pair_options() const { return pair_; }
  const Rule& rule() const { return rule_; }
  PairShape shape() const { return extents_.shape; }
  ///@}

  /// The ranks of the blocks that the last step started from.
  PairRanks ranks() const { return step_.ranks(); }

  /// The momenta, m x r and n x r, as read-only views; of one block where several share another.
  ///@{
  auto momentum_a(std::size_t block = 0) const { return momenta_a_.at(block).view(); }
  auto momentum_b(std::size_t block = 0) const { return momenta_b_.at(block).view(); }
  ///@}

 private:
  friend detail::StateAccess;
  friend Adjustable;
  using Adjustable::options_;
  using Adjustable::schedule_factor_;
  using Adjustable::steps_;
  static constexpr bool is_scale_free = detail::is_scale_free_rule<typename Rule::normalization_type>();

  double scale_factor() const { return detail::pair_scale_factor(options_.scale, extents_.shape); }

  detail::PairExtents checked(PairShape shape) const {
    detail::validate_pair(options_, pair_, is_scale_free);
    for (const Shape block : {shape.a(), shape.b()}) {
      if (block.rows < 0 || block.cols < 0)
        detail::fail({options_.parameter}, "a block cannot be " + to_string(block));
      const Index sizes[] = {block.rows, block.cols}, strides[] = {block.cols, 1};
      detail::require_countable(sizes, strides, sizeof(double), {options_.parameter},
                                [&] { return "a block of " + to_string(block); });
    }
    try {
      detail::require_size<typename Rule::pair_group::algebra>(shape.rank);
    } catch (const Error& error) {
      throw Error(error.text, options_.parameter);
    }
    return {shape, pair_.blocks_of_a, pair_.blocks_of_b};
  }

  void require_usable(const OptimizerOptions& options, double schedule_factor) const {
    detail::validate_pair(options, pair_, is_scale_free, schedule_factor);
    detail::require_factors_in_range<Scalar>(options, schedule_factor, scale_factor());
  }

  /// Takes the blocks of one side in: their memory, and the views of a step.
  template <class Weights, class Gradient>
  void collect(const char* name, Weights& weights, const Gradient& gradient, Shape shape,
               std::vector<kernel::OrientedBuffer<Scalar>>& momenta, detail::PairInputs<Scalar>& side) {
    side.blocks.clear();
    if constexpr (detail::EigenObject<Gradient>) {
      detail::require(momenta.size() == 1, {options_.parameter},
                      [&] { return count_text(name, momenta, 1); });
      add(weights, gradient, shape, momenta.front(), side);
    } else {
      const std::size_t count = weights.size();
      detail::require(count == momenta.size() && gradient.size() == count, {options_.parameter},
                      [&] { return count_text(name, momenta, count); });
      for (std::size_t k = 0; k < count; ++k) add(weights[k], gradient[k], shape, momenta[k], side);
    }
  }
  static std::string count_text(const char* name, const auto& momenta, std::size_t count) {
    return std::string("the step was given ") + std::to_string(count) + " blocks " + name + " for " +
           std::to_string(momenta.size()) + "; give as many weights and gradients as the options say";
  }

  template <class Weights, class Gradient>
  void add(Weights& weights, const Gradient& gradient, Shape shape, kernel::OrientedBuffer<Scalar>& momentum,
           detail::PairInputs<Scalar>& side) {
    using Given = detail::StepWeights<Scalar, std::remove_cvref_t<Weights>>;
    static_assert(
        detail::is_memory_v<Gradient>,
        "the gradients of a pair are memory: a Matrix, Map, Ref, Block or transposed view; evaluate "
        "a formula first");
    static_assert(detail::is_writable_memory_v<typename Given::Storage> && !std::is_const_v<Weights>,
                  "the weights must be memory to update: a Matrix, Map, Ref, Block or transposed view");
    constexpr bool takes_bfloat16 = std::same_as<Scalar, float>;
    using G = typename Gradient::Scalar;
    using W = typename Given::Storage::Scalar;
    static_assert((std::same_as<Scalar, G> || (takes_bfloat16 && std::same_as<G, bfloat16>)) &&
                      (std::same_as<Scalar, W> || (takes_bfloat16 && std::same_as<W, bfloat16>)),
                  "weights and gradients must have the optimizer's scalar: PairOptimizer<Rule, double> for "
                  "double");
    constexpr detail::Orientation orientation = detail::orientation_v<typename Given::Storage>;
    const auto place = static_cast<std::uint64_t>(memory_.size());
    const Given given(weights, [&](std::uint64_t seed) {
      return kernel::Rounder{Rounding::stochastic, kernel::RandomKey::of(seed, options_.parameter, place,
                                                                         static_cast<std::uint64_t>(steps_))};
    });
    const detail::MatrixMemory of_gradient = detail::memory_of("gradient", gradient);
    given.memory.require_usable(shape, of_gradient, options_.parameter);
    for (int k = 0; k < given.memory.count; ++k) memory_.push_back({given.memory.parts[k], true});
    memory_.push_back({of_gradient, false});
    side.orientation = orientation;
    side.blocks.push_back({{detail::BlockView<const G>(gradient), given.view, {}}, &momentum});
  }

  /// Throws Error unless what is written lies apart from all else.
  void require_apart() const {
    for (std::size_t i = 0; i < memory_.size(); ++i)
      for (std::size_t j = 0; j < i; ++j)
        if ((memory_[i].is_written || memory_[j].is_written) &&
            detail::overlap(memory_[i].memory, memory_[j].memory))
          detail::fail(
              {options_.parameter},
              detail::joined({"the ", memory_[j].memory.what, " of one block and the ",
                              memory_[i].memory.what, " of another overlap in memory; keep them apart"}));
  }

  void set_inputs(const kernel::StepCoefficients& coefficients, kernel::Check check, double largest) {
    for (auto* side : {&a_, &b_})
      for (auto& block : side->blocks) {
        block.input.coefficients = coefficients;
        block.input.check = check;
        block.input.largest_gradient = largest;
      }
  }

  /// Steps; or says why not, and has changed nothing.
  const char* refused(const kernel::StepCoefficients& coefficients, double damping) {
    const bool is_checked = options_.non_finite != NonFinite::unchecked;
    set_inputs(coefficients, is_checked ? kernel::Check::gradient : kernel::Check::nothing,
               is_checked ? detail::usual_gradient<Scalar> : detail::unbounded);
    if (step_.run(rule_, a_, b_, damping)) return nullptr;
    for (const auto* side : {&a_, &b_})
      for (const auto& block : side->blocks)
        if (!kernel::all_finite(block.input.gradient)) return "the gradient has an Inf or NaN";
    return step_.run_carefully(rule_, a_, b_, damping) ? nullptr : detail::out_of_range;
  }

  PairOptions pair_;
  Rule rule_;
  detail::PairExtents extents_;
  detail::PairStep<Rule, Scalar> step_;
  std::vector<kernel::OrientedBuffer<Scalar>> momenta_a_, momenta_b_;
  detail::PairInputs<Scalar> a_, b_;
  std::vector<detail::TouchedMemory> memory_;
};

}}  // namespace symopt
