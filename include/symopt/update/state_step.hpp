// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/update/block_step.hpp>

#include <utility>

// The step of a rule with a state of its own and no kernel: it is given weights and gradient, and writes a
// direction.
namespace symopt { inline namespace SYMOPT_ABI { namespace detail {

/// The memory that such steps work in: a direction; nothing for a rule with a kernel.
template <class Rule, class Scalar>
struct StateMemory {
  StateMemory(Shape shape, kernel::ScratchOptions options)
      : direction(HasFusedState<Rule, Scalar> ? 0 : shape.rows * shape.cols),
        decayed(HasFusedState<Rule, Scalar> || !options.decay_is_horizontal ? 0 : shape.rows * shape.cols),
        projection_workspace(HasFusedState<Rule, Scalar> ? Shape{} : shape) {}

  kernel::Buffer<Scalar> direction;
  kernel::Buffer<Scalar> decayed;
  typename projection_of_t<Rule>::template Workspace<Scalar> projection_workspace;
};

/// A row-major view seen in the other storage order where the block's memory is.
template <bool is_transposed, class Scalar>
auto in_storage_order(MatrixRef<Scalar>& block) {
  using Ordered = Eigen::Matrix<Scalar, Eigen::Dynamic, Eigen::Dynamic,
                                is_transposed ? Eigen::ColMajor : Eigen::RowMajor>;
  const Shape shape = is_transposed ? transposed(shape_of(block)) : shape_of(block);
  return Eigen::Map<Ordered, 0, Eigen::OuterStride<>>(block.data(), shape.rows, shape.cols,
                                                      Eigen::OuterStride<>(block.outerStride()));
}

/// W <- W - decay W (or P W) - length * direction, in the frame.
template <class Projection, class Rule, class Scalar>
void move_along(const kernel::GradientView<Scalar>& gradient, const kernel::WeightsView<Scalar>& weights,
                const kernel::StepCoefficients& coefficients, MatrixRef<Scalar>& direction,
                StateMemory<Rule, Scalar>& memory) {
  const BlockView<Scalar> decayed = DirectionStep<Rule, Projection>::decaying(weights, coefficients, memory);
  kernel::move_along<Scalar>({gradient, {}, weights}, coefficients, BlockView<Scalar>(direction),
                             decayed.data == nullptr ? nullptr : &decayed);
}

/// Calls the rule, which sees weights and gradient in their storage order, and moves the weights. Both are
/// Eigen objects; `slope` and `framed` are their memory in the frame.
template <bool is_transposed, class Rule, class Scalar>
void step_with_state(const Rule& rule, const auto& weights, const auto& gradient, auto& state,
                     const kernel::GradientView<Scalar>& slope, const kernel::WeightsView<Scalar>& framed,
                     const kernel::StepCoefficients& coefficients, StateMemory<Rule, Scalar>& memory) {
  using Projection =
      std::conditional_t<is_transposed, decltype(projection_of_t<Rule>{}.mirrored()), projection_of_t<Rule>>;
  MatrixRef<Scalar> direction = memory.direction.as(framed.shape());
  auto own = in_storage_order<is_transposed, Scalar>(direction);
  rule(weights, gradient, state, own);
  move_along<Projection>(slope, framed, coefficients, direction, memory);
}

}}}  // namespace symopt::detail
