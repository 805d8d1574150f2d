// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/optimizer/kept_weights.hpp>
#include <symopt/optimizer/state_fields.hpp>
#include <symopt/optimizer/step_input.hpp>
#include <symopt/optimizer/step_range.hpp>
#include <symopt/pair/pair_map.hpp>
#include <symopt/pair/pair_sweep.hpp>

#include <atomic>
#include <cmath>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

namespace symopt { inline namespace SYMOPT_ABI { namespace detail {

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
        a_(extents.shape.a(), extents.count_of_a),
        b_(extents.shape.b(), extents.count_of_b) {}

  /// One step of both sides: all directions, by the weights as they are, and then the weights. Returns false,
  /// and has changed nothing, where the gradients were to be checked and one is not finite, or so large, or a
  /// direction, that the step may leave the range.
  bool run(const Rule& rule, PairInputs<Scalar>& a, PairInputs<Scalar>& b, double damping) {
    const bool is_bounded_a = a_.prepare(a), is_bounded_b = b_.prepare(b);
    if (!read() || !is_bounded_a || !is_bounded_b) return false;
    map_.find(rule.normalization(), a_.blocks, b_.blocks, damping,
              [&](const PairBlocks<Scalar>& blocks, std::size_t k) { sweep_of(blocks, k).begin(); });
    if (map_.is_horizontal()) write_directions();
    map_.project(a_.blocks, b_.blocks);
    if (!are_harmless(a_) || !are_harmless(b_)) return false;
    move();
    for (const auto* side : {&a, &b})
      for (const PairInput<Scalar>& block : side->blocks) {
        const kernel::StepCoefficients& c = block.input.coefficients;
        if (block.has_gradient)
          block.momentum->advance_bound(c.beta, std::abs(c.weight_of_stored_gradient()),
                                        block.input.largest_gradient);
      }
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
  using Map = PairMap<typename Rule::pair_group, typename Rule::normalization_type, Scalar>;

  struct Side {
    Side(Shape shape, Index count)
        : memory(static_cast<std::size_t>(count), kernel::Buffer<Scalar>(shape.rows * shape.cols)) {
      blocks.weights.reserve(memory.size());
      blocks.directions.reserve(memory.size());
      sweeps.reserve(memory.size());
    }

    /// Takes the inputs of a step in. False where they are to be checked and a momentum may leave the range.
    bool prepare(const PairInputs<Scalar>& inputs) {
      blocks.weights.clear();
      blocks.directions.clear();
      sweeps.clear();
      blocks.rank_side = inputs.rank_side();
      bool is_bounded = true;
      for (std::size_t k = 0; k < inputs.blocks.size(); ++k) {
        const PairInput<Scalar>& block = inputs.blocks[k];
        blocks.weights.push_back(blocks.rank_side == symopt::Side::right ? block.input.weights
                                                                         : block.input.weights.transposed());
        if (!block.has_gradient) continue;
        blocks.directions.push_back(memory[k].as(blocks.weights.back().shape()));
        sweeps.emplace_back(block, inputs.orientation, blocks.directions.back());
        is_bounded = is_bounded && (block.input.check == kernel::Check::nothing ||
                                    next_bound(block.momentum->bound(), block.input) <=
                                        std::ldexp(1.0, momentum_exponent<Scalar>));
      }
      return is_bounded;
    }

    std::vector<kernel::Buffer<Scalar>> memory;  // of the directions
    PairBlocks<Scalar> blocks;
    std::vector<PairSweep<Scalar>> sweeps;  // of the directions
  };

  const PairSweep<Scalar>& sweep_of(const PairBlocks<Scalar>& blocks, std::size_t direction) const {
    return (&blocks == &a_.blocks ? a_ : b_).sweeps[direction];
  }

  /// The first sweep. False where a check fails.
  bool read() {
    std::atomic<bool> passes = true;
    if constexpr (Map::is_small) {
      map_.read(a_.blocks, b_.blocks,
                [&](const PairBlocks<float>& blocks, std::size_t direction, kernel::Range range,
                    DirectionLines scratch) {
                  if (!sweep_of(blocks, direction).begin(range, scratch))
                    passes.store(false, std::memory_order_relaxed);
                  return scratch;
                });
    } else {
      for (const Side* side : {&a_, &b_})
        for (const PairSweep<Scalar>& sweep : side->sweeps)
          if (!sweep.begin()) passes = false;
      if constexpr (Map::has_grams)
        if (passes) map_.read(a_.blocks, b_.blocks, Map::in_memory);
    }
    return passes;
  }
  /// Directions that the map left to its second sweep, to their memory.
  void write_directions() {
    if constexpr (Map::is_small) {
      const auto lines = [this](const PairBlocks<float>& blocks, std::size_t direction, kernel::Range range,
                                DirectionLines scratch) {
        const DirectionLines at = Map::in_memory(blocks, direction, range, scratch);
        if (is_left_to_sweep(blocks, direction)) sweep_of(blocks, direction).begin(range, at);
        return at;
      };
      map_.write(a_.blocks, b_.blocks, lines, Map::to_memory);
    }
  }
  bool is_left_to_sweep(const PairBlocks<Scalar>& blocks, std::size_t direction) const {
    return map_.square(&blocks == &a_.blocks, direction) != nullptr;
  }

  bool are_harmless(const Side& side) const {
    constexpr double room = 1.01;  // for the rounding of sums
    for (std::size_t k = 0; k < side.sweeps.size(); ++k) {
      if constexpr (Map::is_small)
        if (const SmallSquare* square = map_.square(&side == &a_, k);
            square != nullptr && !map_.is_horizontal()) {
          if (!side.sweeps[k].is_harmless_step(room * square->largest)) return false;
          continue;
        }
      if (!side.sweeps[k].is_harmless_step()) return false;
    }
    return true;
  }

  /// The second sweep, and blocks whose directions are in memory.
  void move() {
    if constexpr (Map::is_small)
      if (!map_.is_horizontal()) {
        map_.write(
            a_.blocks, b_.blocks,
            [this](const PairBlocks<float>& blocks, std::size_t direction, kernel::Range range,
                   DirectionLines scratch) {
              if (is_left_to_sweep(blocks, direction)) sweep_of(blocks, direction).advance(range, scratch);
              return scratch;
            },
            [this](const PairBlocks<float>& blocks, std::size_t direction, kernel::Range range,
                   DirectionLines at) {
              if (is_left_to_sweep(blocks, direction)) sweep_of(blocks, direction).move(range, at);
            });
      }
    for (const Side* side : {&a_, &b_})
      for (std::size_t k = 0; k < side->sweeps.size(); ++k) {
        if constexpr (Map::is_small)
          if (!map_.is_horizontal() && is_left_to_sweep(side->blocks, k)) continue;
        side->sweeps[k].finish();
      }
  }

  Map map_;
  Side a_, b_;
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
