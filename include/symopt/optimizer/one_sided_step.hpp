// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/kernel/adamw.hpp>
#include <symopt/kernel/generic.hpp>
#include <symopt/normalization/horizontal_projection.hpp>
#include <symopt/optimizer/direction_step.hpp>
#include <symopt/optimizer/moments_cell.hpp>
#include <symopt/optimizer/one_sided_within.hpp>
#include <symopt/optimizer/root_renewal.hpp>
#include <symopt/threads.hpp>

#include <algorithm>

namespace symopt { inline namespace SYMOPT_ABI { namespace detail {

/// The full moments of a block and what a step does about their roots.
template <class Scalar>
struct OneSidedMoments {
  FullMoments<Scalar>& moments;
  RootRenewal renewal;
};

/// The sum of the squares of a block, in parts that depend on its shape alone.
template <class Scalar>
double sum_of_squares(const MatrixRef<Scalar>& block) {
  constexpr Index most_parts = 64;
  double sums[most_parts];
  const Index parts = std::clamp<Index>(block.rows(), 1, most_parts);
  kernel::share_work(parts, 4.0 * static_cast<double>(block.size()), [&](Index part) {
    const Index begin = block.rows() * part / parts, end = block.rows() * (part + 1) / parts;
    sums[part] = block.middleRows(begin, end - begin).template cast<double>().squaredNorm();
  });
  double sum = 0;
  for (Index part = 0; part < parts; ++part) sum += sums[part];
  return sum;
}

/// The step with moments OneSidedWithin on memory that runs along rows, called as those of
/// kernel/adaptive.hpp: a sweep that copies the gradient, its products, a sweep that advances the momentum,
/// the products of the root, and a sweep that moves the weights.
template <class Moments, class Projection>
struct OneSidedStep {
  template <class Scalar>
  struct Memory {
    Memory(Shape shape, kernel::ScratchOptions options)
        : direction(shape.rows * shape.cols),
          decayed(shape, options),
          roots(Moments::cell(shape), Moments::side(Moments::cell(shape))) {}

    kernel::Buffer<Scalar> direction;
    DecayedWeights<Scalar> decayed;
    polar::InverseRootWorkspace<Scalar> roots;  ///< of one cell after the other
  };

  template <class Scalar>
  static bool run(const kernel::Streams<Scalar>& streams, OneSidedMoments<Scalar> moments,
                  const kernel::StepCoefficients& coefficients, const kernel::AdamWCoefficients& own,
                  kernel::Check check, Memory<Scalar>& memory) {
    if (!kernel::passes(check, streams)) return false;
    MatrixRef<Scalar> direction = memory.direction.as(streams.shape());
    const BlockView<Scalar> view(direction);
    kernel::copy_block(streams.gradient, view);
    make_direction(direction, streams.momentum, moments, coefficients, own, memory);
    kernel::StepCoefficients corrected = coefficients;
    corrected.step_size *= own.first_correction;
    move_along<Projection>(kernel::Streams<Scalar>{streams.gradient, {}, streams.weights}, corrected, view,
                           memory.decayed);
    return true;
  }

  /// direction, the gradient <- the direction but for the first bias correction. Moments and momentum
  /// advance.
  template <class Scalar>
  static void make_direction(MatrixRef<Scalar> direction, const BlockView<Scalar>& momentum,
                             OneSidedMoments<Scalar> moments, const kernel::StepCoefficients& coefficients,
                             const kernel::AdamWCoefficients& own, Memory<Scalar>& memory) {
    NoWorkspace none;
    Projection{}.template apply<Scalar>(direction, none);
    const Shape shape = shape_of(direction), cell = Moments::cell(shape);
    const Side side = Moments::side(cell);
    const double size = static_cast<double>(extent(cell, side)),
                 entries = static_cast<double>(cell.rows * cell.cols);
    const auto for_each_cell = [&](auto&& work) {
      const Index cells = Moments::count(shape, cell);
      for (Index c = 0; c < cells; ++c)
        kernel::with_team(size * (3 * entries + 3 * size * size), [&] {
          MomentsCell<Scalar> own_moments(moments.moments, c, side, memory.roots);
          work(own_moments, Moments::place(shape, cell, c));
        });
    };
    const auto part_at = [&](Place at) -> MatrixRef<Scalar> {
      return direction.block(at.row, at.column, cell.rows, cell.cols);
    };
    for_each_cell([&](MomentsCell<Scalar>& own_moments, Place at) {
      own_moments.advance(part_at(at), coefficients.gradient_factor, own);
    });
    advance_momentum(BlockView<Scalar>(direction), momentum, coefficients);
    for_each_cell([&](MomentsCell<Scalar>& own_moments, Place at) {
      MatrixRef<Scalar> block = part_at(at);
      if (moments.renewal.is_due) {
        own_moments.renew(own);
        return own_moments.apply(block);
      }
      own_moments.recall();
      own_moments.apply(block);
      const double square = own.first_correction * own.first_correction * sum_of_squares<Scalar>(block);
      if (square <= square_of_band * moments.renewal.largest_square * entries) return;
      copy_momentum<Scalar>(momentum, at, block);
      own_moments.renew(own);
      own_moments.apply(block);
    });
    Projection{}.template apply<Scalar>(direction, none);
  }

 private:
  /// Room for the band of a root.
  static constexpr double square_of_band = 1.06 * 1.06;

  /// The momentum, in memory and in place of the gradient.
  template <class Scalar>
  static void advance_momentum(const BlockView<Scalar>& gradient, const BlockView<Scalar>& momentum,
                               const kernel::StepCoefficients& coefficients) {
    using L = kernel::Lanes<Scalar>;
    const kernel::Average<Scalar> average(coefficients);
    kernel::for_each_chunk(kernel::chunks_of(shape_of(gradient)), [&](kernel::Range rows) {
      kernel::sweep(
          rows, {0, gradient.cols.size}, [=](L& g, L& m) SYMOPT_INLINE_LAMBDA { g = m = average.next(m, g); },
          kernel::inout(gradient), kernel::inout(momentum));
    });
  }

  template <class Scalar>
  static void copy_momentum(const BlockView<Scalar>& momentum, Place at, MatrixRef<Scalar> block) {
    for (Index i = 0; i < block.rows(); ++i)
      std::copy_n(momentum.row(at.row + i) + at.column, block.cols(), &block.coeffRef(i, 0));
  }
};

}}}  // namespace symopt::detail
