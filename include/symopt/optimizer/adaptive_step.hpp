// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/kernel/adaptive.hpp>
#include <symopt/kernel/adaptive_block.hpp>
#include <symopt/kernel/adaptive_centred.hpp>
#include <symopt/kernel/adaptive_columns.hpp>
#include <symopt/kernel/entrywise.hpp>
#include <symopt/kernel/generic.hpp>
#include <symopt/normalization/horizontal_projection.hpp>
#include <symopt/optimizer/direction_step.hpp>
#include <symopt/optimizer/moments.hpp>
#include <symopt/optimizer/one_sided_step.hpp>

#include <type_traits>

// Which kernel does the step of which second moments and projection, on memory that runs along rows.
namespace symopt { inline namespace SYMOPT_ABI { namespace detail {

template <class Moments>
struct PlainAdaptiveStep;
template <>
struct PlainAdaptiveStep<moments::Entries> : kernel::AdaptiveEntriesStep {};
template <>
struct PlainAdaptiveStep<moments::Rows> : kernel::AdaptiveRowsStep {};
template <>
struct PlainAdaptiveStep<moments::Columns> : kernel::AdaptiveColumnsStep<false> {};
template <>
struct PlainAdaptiveStep<moments::Block> : kernel::AdaptiveBlockStep {};

/// Any projection: the projected gradient in memory, where the plain step then leaves the direction.
template <class Moments, class Projection>
struct AdaptiveStep {
  using Plain = PlainAdaptiveStep<Moments>;

  template <class Scalar>
  struct Memory {
    Memory(Shape shape, kernel::ScratchOptions options)
        : direction(shape.rows * shape.cols), decayed(shape, options), plain(shape, options) {}

    kernel::Buffer<Scalar> direction;
    DecayedWeights<Scalar> decayed;
    typename Plain::template Memory<Scalar> plain;
  };

  template <class Scalar>
  static bool run(const kernel::Streams<Scalar>& streams, auto roots,
                  const kernel::StepCoefficients& coefficients, const kernel::AdamWCoefficients& own,
                  kernel::Check check, Memory<Scalar>& memory, const auto&... reduction) {
    using kernel::Check;
    MatrixRef<Scalar> direction = memory.direction.as(streams.shape());
    const BlockView<Scalar> view(direction);
    if (!kernel::passes(check, streams)) return false;
    kernel::copy_block(streams.gradient, view);
    NoWorkspace none;
    Projection{}.template apply<Scalar>(direction, none, reduction...);
    kernel::StepCoefficients replacing = coefficients;
    replacing.decay = 1;
    replacing.step_size = -1;
    Plain::run(kernel::Streams<Scalar>{BlockView<const Scalar>(view), streams.momentum, view}, roots,
               replacing, own, Check::nothing, memory.plain, reduction...);
    Projection{}.template apply<Scalar>(direction, none, reduction...);
    move_along<Projection>(kernel::Streams<Scalar>{streams.gradient, {}, streams.weights}, coefficients, view,
                           memory.decayed, reduction...);
    return true;
  }
};
/// None.
template <class Moments>
struct AdaptiveStep<Moments, HorizontalProjection<>> : PlainAdaptiveStep<Moments> {};
/// The head and the router, and the same of memory that runs along columns.
template <>
struct AdaptiveStep<moments::Rows, HorizontalProjection<Side::left>> : kernel::CentredAdaptiveRowsStep {};
template <>
struct AdaptiveStep<moments::Columns, HorizontalProjection<Side::right>> : kernel::AdaptiveColumnsStep<true> {
};
/// Full moments, with any projection and none.
template <int head_rows, int head_columns, Side side_of_squares, class Projection>
struct AdaptiveStep<OneSidedWithin<head_rows, head_columns, side_of_squares>, Projection>
    : OneSidedStep<OneSidedWithin<head_rows, head_columns, side_of_squares>, Projection> {};
template <int head_rows, int head_columns, Side side_of_squares>
struct AdaptiveStep<OneSidedWithin<head_rows, head_columns, side_of_squares>, HorizontalProjection<>>
    : OneSidedStep<OneSidedWithin<head_rows, head_columns, side_of_squares>, HorizontalProjection<>> {};

template <class Moments, class Projection, Orientation orientation>
struct AdaptiveStepAlong : AdaptiveStep<Moments, Projection> {};
template <class Moments, class Projection>
struct AdaptiveStepAlong<Moments, Projection, Orientation::along_columns>
    : AdaptiveStep<typename MomentTraits<Moments>::mirrored,
                   std::remove_cvref_t<decltype(Projection{}.mirrored())>> {};

}}}  // namespace symopt::detail
