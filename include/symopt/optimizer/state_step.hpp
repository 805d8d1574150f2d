// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/optimizer/direction_step.hpp>
#include <symopt/optimizer/scratch.hpp>
#include <symopt/optimizer/step_input.hpp>
#include <symopt/optimizer/step_range.hpp>

#include <utility>

// The step of a rule with a state of its own and no kernel: it is shown weights and gradient, and writes a
// direction.
namespace symopt { inline namespace SYMOPT_ABI { namespace detail {

template <class Scalar>
struct DirectionScratch {
  DirectionScratch(Shape shape, kernel::ScratchOptions options)
      : direction(shape.rows * shape.cols), decayed(shape, options) {}

  kernel::Buffer<Scalar> direction;
  DecayedWeights<Scalar> decayed;
};

/// A copy of what cannot be shown as it lies.
template <bool is_of_gradient, class Scalar>
struct GatherScratch {
  GatherScratch(Shape shape, kernel::ScratchOptions) : copy(shape.rows * shape.cols) {}

  kernel::Buffer<Scalar> copy;
};

/// Memory that runs along rows as an Eigen object of the block, in its storage order.
template <Orientation orientation, class Stride, class Scalar>
auto shown(const BlockView<Scalar>& lines, Stride stride) {
  constexpr int order = orientation == Orientation::along_rows ? Eigen::RowMajor : Eigen::ColMajor;
  using Ordered = Eigen::Matrix<std::remove_const_t<Scalar>, Eigen::Dynamic, Eigen::Dynamic, order>;
  using Shown = std::conditional_t<std::is_const_v<Scalar>, const Ordered, Ordered>;
  const Shape block = orientation == Orientation::along_rows ? shape_of(lines) : transposed(shape_of(lines));
  return Eigen::Map<Shown, 0, Stride>(lines.data, block.rows, block.cols, stride);
}

/// Tests whether an Eigen object can show the memory as it lies.
template <class Scalar>
bool can_be_shown(const BlockView<Scalar>& block) {
  return block.selected_rows == nullptr && block.rows.parts == 1 && block.cols.parts == 1;
}

/// The steps of rules with a state of their own, and their scratch.
template <class Rule, class Scalar>
class StateStep {
 public:
  /// Memory to gather in is taken here where it may be needed, else at the first step that needs it: for
  /// bfloat16, and for rows in several places.
  void reserve(const ScratchSource& source, Shape shape, bool may_gather) {
    if (direction_.is_empty()) direction_.take<DirectionScratch<Scalar>>(source, shape);
    if (may_gather) {
      weights_.take<GatherScratch<false, Scalar>>(source, shape);
      gradient_.take<GatherScratch<true, Scalar>>(source, shape);
    }
  }

  /// `lines` runs along rows. A rule that throws has changed nothing but its state, and so has one whose
  /// direction may lead out of range: then, where the gradient was to be checked, false is returned.
  template <Orientation orientation>
  bool run(const Rule& rule, auto& state, const StepInput<Scalar>& lines, const ScratchSource& source) {
    const BlockView<const Scalar> weights = readable<false>(lines.weights, weights_, source);
    const BlockView<const Scalar> gradient = readable<true>(lines.gradient, gradient_, source);
    auto& scratch = direction_.as<DirectionScratch<Scalar>>();
    MatrixRef<Scalar> memory = scratch.direction.as(lines.weights.shape());
    const BlockView<Scalar> view(memory);
    using Contiguous = Eigen::OuterStride<>;
    using Strided = Eigen::Stride<Eigen::Dynamic, Eigen::Dynamic>;
    auto direction = shown<orientation>(view, Contiguous(view.rows.stride));
    if (weights.has_contiguous_rows() && gradient.has_contiguous_rows()) {
      rule(shown<orientation>(weights, Contiguous(weights.rows.stride)),
           shown<orientation>(gradient, Contiguous(gradient.rows.stride)), state, direction);
    } else {
      rule(shown<orientation>(weights, Strided(weights.rows.stride, weights.cols.stride)),
           shown<orientation>(gradient, Strided(gradient.rows.stride, gradient.cols.stride)), state,
           direction);
    }
    if (lines.check == kernel::Check::gradient && !is_harmless(lines.coefficients, view)) return false;
    using Projection = projection_of_t<Rule>;
    using Along = std::conditional_t<orientation == Orientation::along_rows, Projection,
                                     std::remove_cvref_t<decltype(Projection{}.mirrored())>>;
    move_along<Along>(kernel::Streams<Scalar>{lines.gradient, {}, lines.weights}, lines.coefficients, view,
                      scratch.decayed);
    return true;
  }

 private:
  template <bool is_of_gradient>
  static BlockView<const Scalar> readable(const auto& view, Scratch& scratch, const ScratchSource& source) {
    if (view.values() != nullptr && can_be_shown(*view.values())) return *view.values();
    using Memory = GatherScratch<is_of_gradient, Scalar>;
    if (scratch.is_empty()) scratch.take<Memory>(source, view.shape());
    MatrixRef<Scalar> copy = scratch.as<Memory>().copy.as(view.shape());
    for (Index i = 0; i < copy.rows(); ++i)
      for (Index j = 0; j < copy.cols(); ++j) copy(i, j) = view.at(i, j);
    return BlockView<const Scalar>(copy);
  }

  Scratch direction_, weights_, gradient_;
};

}}}  // namespace symopt::detail
