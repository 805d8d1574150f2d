// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/block_view.hpp>
#include <symopt/kernel/buffer.hpp>
#include <symopt/kernel/generic.hpp>
#include <symopt/normalization/apply.hpp>
#include <symopt/update/fused_step.hpp>
#include <symopt/update/horizontal_projection.hpp>
#include <symopt/update/options.hpp>
#include <symopt/update/rule.hpp>

#include <algorithm>
#include <stdexcept>

// One step of one block, in the frame in which its memory runs along rows: what Optimizer does for its block
// and LayerwiseOptimizer for each of its own. A block that runs along columns comes transposed, with the
// mirrored map and the mirrored projection.
namespace symopt { inline namespace SYMOPT_ABI { namespace detail {

/// The projection of a rule's group; none for a rule without one.
template <class Rule>
struct ProjectionOf {
  using type = HorizontalProjection<>;
};
template <class Rule>
requires requires {
  typename Rule::group;
}
struct ProjectionOf<Rule> {
  using type = horizontal_projection_t<typename Rule::group>;
};
template <class Rule>
using projection_of_t = typename ProjectionOf<Rule>::type;

/// What a step multiplies by.
struct StepFactors {
  double decay = 0;   ///< rate * weight decay: the share of W that goes
  double length = 0;  ///< rate * scale: multiplies the direction
};

inline kernel::StepCoefficients step_coefficients(const OptimizerOptions& options, StepFactors factors) {
  const bool is_average = options.momentum_convention == MomentumConvention::ema;
  return {.beta = options.momentum,
          .gradient_weight = is_average ? 1.0 - options.momentum : 1.0,
          .nesterov = options.nesterov,
          .decay = factors.decay,
          .decay_is_horizontal = options.decay == Decay::horizontal,
          .step_size = factors.length};
}

inline kernel::ScratchOptions scratch_options(const OptimizerOptions& options) {
  return {.decay_is_horizontal = options.decay == Decay::horizontal};
}

/// The step of a map without a fused one, with the interface of kernel/step.hpp: a sweep that writes what the
/// map is given, the map, and a sweep that advances the momentum and moves the weights. A map that throws
/// changes nothing.
template <class Map, class Projection>
struct DirectionStep {
  const Map& map;

  template <class Scalar>
  struct Memory {
    Memory(Shape shape, kernel::ScratchOptions options)
        : direction(shape.rows * shape.cols),
          decayed(options.decay_is_horizontal ? shape.rows * shape.cols : 0),
          projection_workspace(shape),
          workspace(shape) {}

    kernel::Buffer<Scalar> direction;
    kernel::Buffer<Scalar> decayed;
    typename Projection::template Workspace<Scalar> projection_workspace;
    workspace_t<Map, Scalar> workspace;
  };

  template <class Scalar>
  bool run(const kernel::Streams<Scalar>& streams, const kernel::StepCoefficients& coefficients, kernel::Check check,
           auto& memory) const {
    MatrixRef<Scalar> direction = memory.direction.as(streams.shape());
    const BlockView<Scalar> view(direction);
    if (!kernel::write_next_momentum(streams, coefficients, view) && check == kernel::Check::gradient) return false;
    apply_map<Map, Scalar>(map, direction, memory.workspace);
    const BlockView<Scalar> decayed = decaying(streams.weights, coefficients, memory);
    kernel::move_along(streams, coefficients, view, decayed.data == nullptr ? nullptr : &decayed);
    return true;
  }

  /// What horizontal decay takes from: P W. Nothing for the decay of all of W.
  template <class Scalar>
  static BlockView<Scalar> decaying(const kernel::WeightsView<Scalar>& weights,
                                    const kernel::StepCoefficients& coefficients, auto& memory) {
    if (coefficients.decay == 0 || !coefficients.decay_is_horizontal) return {};
    MatrixRef<Scalar> decayed = memory.decayed.as(weights.shape());
    const BlockView<Scalar> view(decayed);
    kernel::copy_weights(weights, view);
    Projection{}.template apply<Scalar>(decayed, memory.projection_workspace);
    return view;
  }
};

/// The step of a map in its frame: the fused one, or the general one.
template <class Map, class Projection>
auto step_of(const Map& map) {
  if constexpr (HasFusedStep<Map>) {
    return FusedStep<Map>::of(map);
  } else {
    return DirectionStep<Map, Projection>{map};
  }
}

/// How many sums of the momentum are kept between the steps of a map on blocks of a shape: none, or one for
/// each column.
template <class Map, class Projection>
constexpr Index momentum_sums_count(Shape shape) {
  using Step = decltype(step_of<Map, Projection>(std::declval<const Map&>()));
  if constexpr (requires { requires Step::keeps_momentum_sums; }) {
    return shape.cols;
  } else {
    return 0;
  }
}

/// The memory that the steps of a map work in, for blocks of a shape. They may take turns in it.
template <class Map, class Projection, class Scalar>
using StepMemory =
    typename decltype(step_of<Map, Projection>(std::declval<const Map&>()))::template Memory<Scalar>;

/// The memory of a rule's steps on blocks of a shape in either storage order.
template <class Rule, class Scalar>
class StepMemoryOfEitherOrder {
  using Projection = projection_of_t<Rule>;
  using Mirror = std::remove_cvref_t<decltype(mirror(std::declval<const Rule&>()))>;
  using MirroredProjection = std::remove_cvref_t<decltype(Projection{}.mirrored())>;
  /// A map's own workspace serves its mirror.
  static constexpr bool is_shared = !HasFusedStep<Rule> && !HasFusedStep<Mirror>;
  struct Nothing {
    Nothing(Shape, kernel::ScratchOptions) {}
  };

 public:
  StepMemoryOfEitherOrder(Shape shape, kernel::ScratchOptions options)
      : along_rows_(shape, options), along_columns_(transposed(shape), options) {}

  template <bool is_transposed>
  auto& in_frame() {
    if constexpr (is_transposed && !is_shared) {
      return along_columns_;
    } else {
      return along_rows_;
    }
  }

 private:
  StepMemory<Rule, Projection, Scalar> along_rows_;
  std::conditional_t<is_shared, Nothing, StepMemory<Mirror, MirroredProjection, Scalar>> along_columns_;
};

/// momentum_sums_count of the steps of a rule in either storage order.
template <class Rule>
constexpr Index momentum_sums_count_of_either_order(Shape shape) {
  using Projection = projection_of_t<Rule>;
  using Mirror = std::remove_cvref_t<decltype(mirror(std::declval<const Rule&>()))>;
  using MirroredProjection = std::remove_cvref_t<decltype(Projection{}.mirrored())>;
  return std::max(momentum_sums_count<Rule, Projection>(shape),
                  momentum_sums_count<Mirror, MirroredProjection>(transposed(shape)));
}

/// The step of a rule that maps the momentum. Returns false, and has changed nothing, where the gradient was
/// to be checked and is not finite.
template <class Projection, class Map, class Scalar>
bool step_block(const Map& map, const kernel::StepCoefficients& coefficients, kernel::Check check,
                const kernel::Streams<Scalar>& streams, auto& memory) {
  return step_of<Map, Projection>(map).run(streams, coefficients, check, memory);
}

/// Throws std::invalid_argument that names the parameter unless the options suit the rule.
template <class Rule, class Scalar>
void validate_for_rule(const OptimizerOptions& options) {
  validate(options);
  const auto require = [&](bool good, const char* message) {
    if (!good) throw std::invalid_argument("symopt: parameter '" + options.parameter + "': " + message);
  };
  require(options.decay == Decay::all || !projection_of_t<Rule>::is_identity,
          "decay is horizontal but the rule's group has no shift; use Decay::all");
  if constexpr (StatefulRule<Rule, Scalar>) {
    const OptimizerOptions defaults;
    require(
        options.momentum == defaults.momentum && !options.nesterov &&
            options.momentum_convention == defaults.momentum_convention,
        "this rule keeps its own momentum; set it there and leave the optimizer's momentum options alone");
  }
}

}}}  // namespace symopt::detail
