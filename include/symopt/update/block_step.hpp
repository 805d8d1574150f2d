// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/block_view.hpp>
#include <symopt/kernel/buffer.hpp>
#include <symopt/normalization/apply.hpp>
#include <symopt/update/horizontal_projection.hpp>
#include <symopt/update/options.hpp>
#include <symopt/update/rule.hpp>

// One step of one block, in the frame in which its memory runs along rows: what Optimizer does for its block
// and LayerwiseOptimizer for each of its own. A block that runs along columns comes transposed, with the
// mirrored map and the mirrored projection.
namespace symopt::inline SYMOPT_ABI::detail {

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

/// The memory that a step works in, for blocks of a shape under a rule. They may take turns in it, as may the
/// transposed blocks under the rule's mirror.
template <class Rule, class Scalar>
struct StepMemory {
  StepMemory(Shape shape, const OptimizerOptions& options)
      : direction(shape.rows * shape.cols),
        decay_scratch(options.decay == Decay::horizontal ? shape.rows * shape.cols : 0),
        projection_workspace(shape),
        workspace(shape) {}

  kernel::Buffer<Scalar> direction;
  kernel::Buffer<Scalar> decay_scratch;
  typename projection_of_t<Rule>::template Workspace<Scalar> projection_workspace;
  workspace_t<Rule, Scalar> workspace;
};

/// What a step multiplies by.
struct StepFactors {
  double decay = 0;   ///< rate * weight decay: the share of W that goes
  double length = 0;  ///< rate * scale: multiplies the direction
};

/// W <- W - decay P W (or W), then W <- W - length * direction.
template <class Projection, class Scalar>
void apply_direction(const Projection& projection, Decay decay, StepFactors factors,
                     const BlockView<Scalar>& weights, const MatrixRef<Scalar>& direction, auto& memory) {
  const Scalar length = static_cast<Scalar>(factors.length);
  const auto subtract = [&](const MatrixRef<Scalar>& block, Scalar factor) {
    for_each_segment(weights, [&](Index i, Index j, auto&& segment) {
      segment -= factor * block.row(i).segment(j, segment.size());
    });
  };
  if (factors.decay != 0 && decay == Decay::all) {
    const Scalar keep = static_cast<Scalar>(1.0 - factors.decay);
    for_each_segment(weights, [&](Index, Index, auto&& segment) { segment *= keep; });
  } else if (factors.decay != 0) {
    MatrixRef<Scalar> scratch = memory.decay_scratch.as(shape_of(weights));
    for_each_segment(weights, [&](Index i, Index j, const auto& segment) {
      scratch.row(i).segment(j, segment.size()) = segment;
    });
    projection.template apply<Scalar>(scratch, memory.projection_workspace);
    subtract(scratch, static_cast<Scalar>(factors.decay));
  }
  subtract(direction, length);
}

/// The step of a rule that maps the momentum. The momentum advances last: a rule that throws changes nothing.
template <class Map, class Projection, class Scalar>
void step_block(const Map& map, const Projection& projection, const OptimizerOptions& options,
                StepFactors factors, const BlockView<Scalar>& weights,
                const BlockView<const Scalar>& gradient, const BlockView<Scalar>& momentum, auto& memory) {
  const MomentumStep<Scalar> average(options.momentum_convention, options.momentum);
  MatrixRef<Scalar> direction = memory.direction.as(shape_of(weights));
  average.look_ahead(momentum, gradient, direction, options.nesterov);
  apply_map<Map, Scalar>(map, direction, memory.workspace);
  average.advance(momentum, gradient);
  apply_direction(projection, options.decay, factors, weights, direction, memory);
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

}  // namespace symopt::detail
