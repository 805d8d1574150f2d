// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/kernel/generic.hpp>
#include <symopt/memory/oriented_buffer.hpp>
#include <symopt/optimizer/kept_weights.hpp>
#include <symopt/optimizer/state_fields.hpp>
#include <symopt/optimizer/step_input.hpp>
#include <symopt/optimizer/step_range.hpp>
#include <symopt/pair/pair_map.hpp>

#include <cmath>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

namespace symopt { inline namespace SYMOPT_ABI { namespace detail {

/// The part of a step that belongs to one block of a pair.
template <class Scalar>
struct PairInput {
  StepInput<Scalar> input;  ///< lines x rank; the gradient means nothing where there is none
  kernel::OrientedBuffer<Scalar>* momentum;
  bool has_gradient = true;  ///< without, the block is read, and stays
};

/// The blocks on one side of a pair in a step.
template <class Scalar>
struct PairInputs {
  std::vector<PairInput<Scalar>> blocks;
  Orientation orientation = Orientation::along_rows;  ///< of the memory of all of them

  Side rank_side() const { return orientation == Orientation::along_rows ? Side::right : Side::left; }
};

/// The steps of pairs of one size under a rule, one after the other, and the memory that they work in. The
/// momenta are their owner's.
template <class Rule, class Scalar>
class PairStep {
 public:
  PairStep(const PairExtents& extents, bool is_horizontal)
      : map_(extents, is_horizontal),
        directions_a_(memory(extents.shape.a(), extents.count_of_a)),
        directions_b_(memory(extents.shape.b(), extents.count_of_b)) {
    a_.weights.reserve(directions_a_.size());
    a_.directions.reserve(directions_a_.size());
    b_.weights.reserve(directions_b_.size());
    b_.directions.reserve(directions_b_.size());
  }

  /// One step of both sides: all directions, by the weights as they are, and then the weights. Returns false,
  /// and has changed nothing, where the gradients were to be checked and one is not finite, or so large, or a
  /// direction, that the step may leave the range.
  bool run(const Rule& rule, PairInputs<Scalar>& a, PairInputs<Scalar>& b, double damping) {
    const bool passes_a = begin(a, a_, directions_a_), passes_b = begin(b, b_, directions_b_);
    if (!passes_a || !passes_b) return false;
    map_.apply(rule.normalization(), a_, b_, damping);
    if (!is_harmless_step(a, a_) || !is_harmless_step(b, b_)) return false;
    finish(a, a_);
    finish(b, b_);
    return true;
  }

  /// A step that may leave the range of Scalar, without a check: taken with a copy of weights and momenta,
  /// and taken back where it has made an Inf or NaN of finite numbers. Returns whether it stands. Allocates;
  /// rare.
  [[gnu::cold, gnu::noinline]] bool run_carefully(const Rule& rule, PairInputs<Scalar>& a,
                                                  PairInputs<Scalar>& b, double damping) {
    KeptWeights<Scalar> weights;
    std::vector<kernel::OrientedBuffer<Scalar>> momenta;
    const auto for_each = [&](const auto& visit) {
      for (PairInputs<Scalar>* side : {&a, &b})
        for (PairInput<Scalar>& block : side->blocks)
          if (block.has_gradient) visit(block);
    };
    const auto are_all_finite = [&] {
      bool good = true;
      for_each([&](const PairInput<Scalar>& block) {
        good = good && are_finite(block.input.weights) && all_entries_finite(block.momentum->view());
      });
      return good;
    };
    for_each([&](PairInput<Scalar>& block) {
      weights.keep(block.input.weights);
      momenta.push_back(*block.momentum);
      block.input.check = kernel::Check::nothing;
      block.input.largest_gradient = unbounded;
    });
    const bool was_finite = are_all_finite();
    run(rule, a, b, damping);
    if (!was_finite || are_all_finite()) return true;
    std::size_t next = 0, number = 0;
    for_each([&](PairInput<Scalar>& block) {
      next = weights.put_back(block.input.weights, next);
      *block.momentum = std::move(momenta[number++]);
    });
    return false;
  }

  /// The ranks of the blocks in the last step.
  PairRanks ranks() const { return map_.ranks(); }

 private:
  static std::vector<kernel::Buffer<Scalar>> memory(Shape shape, Index count) {
    return std::vector<kernel::Buffer<Scalar>>(static_cast<std::size_t>(count),
                                               kernel::Buffer<Scalar>(shape.rows * shape.cols));
  }

  /// The memory of one block along its rows.
  static kernel::Streams<Scalar> streams_of(const PairInput<Scalar>& block, Orientation orientation) {
    const BlockView<Scalar> momentum = along_rows(block.momentum->for_step(orientation), orientation);
    const bool is_along_rows = orientation == Orientation::along_rows;
    return {is_along_rows ? block.input.gradient : block.input.gradient.transposed(), momentum,
            is_along_rows ? block.input.weights : block.input.weights.transposed(), nullptr,
            block.input.gradient_exponent()};
  }

  /// The next momenta, where the directions will be. False where a check fails.
  static bool begin(PairInputs<Scalar>& inputs, PairBlocks<Scalar>& side,
                    std::vector<kernel::Buffer<Scalar>>& directions) {
    side.weights.clear();
    side.directions.clear();
    side.rank_side = inputs.rank_side();
    bool passes = true;
    for (std::size_t k = 0; k < inputs.blocks.size(); ++k) {
      const PairInput<Scalar>& block = inputs.blocks[k];
      const kernel::Streams<Scalar> streams = streams_of(block, inputs.orientation);
      side.weights.push_back(streams.weights);
      if (!block.has_gradient) continue;
      side.directions.push_back(directions[k].as(streams.shape()));
      const kernel::StepCoefficients& c = block.input.coefficients;
      const BlockView<Scalar> direction(side.directions.back());
      const bool is_bounded =
          next_bound(block.momentum->bound(), block.input) <= std::ldexp(1.0, momentum_exponent<Scalar>);
      const bool is_usual = kernel::write_next_momentum(streams, c, direction);
      passes = passes && (block.input.check == kernel::Check::nothing || (is_usual && is_bounded));
    }
    return passes;
  }

  static bool is_harmless_step(const PairInputs<Scalar>& inputs, PairBlocks<Scalar>& side) {
    std::size_t next = 0;
    for (const PairInput<Scalar>& block : inputs.blocks) {
      if (!block.has_gradient) continue;
      const BlockView<Scalar> direction(side.directions[next++]);
      if (block.input.check == kernel::Check::gradient && !is_harmless(block.input.coefficients, direction))
        return false;
    }
    return true;
  }

  static void finish(PairInputs<Scalar>& inputs, PairBlocks<Scalar>& side) {
    std::size_t next = 0;
    for (const PairInput<Scalar>& block : inputs.blocks) {
      if (!block.has_gradient) continue;
      const BlockView<Scalar> direction(side.directions[next++]);
      const kernel::StepCoefficients& c = block.input.coefficients;
      kernel::move_along<Scalar>(streams_of(block, inputs.orientation), c, direction, nullptr);
      block.momentum->advance_bound(c.beta, std::abs(c.weight_of_stored_gradient()),
                                    block.input.largest_gradient);
    }
  }

  PairMap<typename Rule::pair_group, typename Rule::normalization_type, Scalar> map_;
  std::vector<kernel::Buffer<Scalar>> directions_a_, directions_b_;
  PairBlocks<Scalar> a_, b_;
};

/// Shows the momenta of blocks, each named by its number.
template <class Scalar>
void visit_momenta(std::vector<kernel::OrientedBuffer<Scalar>>& momenta, const StateVisitor& visitor) {
  for (std::size_t b = 0; b < momenta.size(); ++b)
    visit_fields("momentum", momenta[b], visitor.is_loading, [&](StateField field) {
      field.name = std::to_string(b) + "/" + field.name;
      visitor.field(std::move(field));
    });
}

}}}  // namespace symopt::detail
