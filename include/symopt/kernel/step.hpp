// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/kernel/coefficients.hpp>
#include <symopt/kernel/sweep.hpp>
#include <symopt/memory/momentum_sums.hpp>

#include <limits>

// The interface of the fused steps. A fused step is a struct with
//   template <class Scalar> struct Memory            made once from a Shape and ScratchOptions
//   template <class Scalar> bool run(streams, coefficients, check, memory) const
// that reads gradient, momentum and weights as seldom as it can, and writes momentum and weights. It works in
// the orientation in which the weights' memory runs along rows. It returns false, and has changed nothing,
// when it was told to check the gradient and found an Inf, a NaN or a number beyond the exponent given. It
// throws nothing and allocates nothing. kernel/reference.hpp says the same in plain loops. A step that can do
// with some of the rows takes a reduction behind these arguments (kernel/reduction.hpp).
namespace symopt { inline namespace SYMOPT_ABI { namespace kernel {

/// The memory of one block. The momentum's rows are contiguous.
template <class Scalar>
struct Streams {
  GradientView<Scalar> gradient;
  BlockView<Scalar> momentum;
  WeightsView<Scalar> weights;
  MomentumSums* momentum_sums = nullptr;  ///< for a step that keeps them; without, it makes them each time
  /// A gradient with a number of 2 to this power or more passes no check; by default Inf and NaN alone.
  int gradient_exponent = std::numeric_limits<Scalar>::max_exponent;

  Shape shape() const { return weights.shape(); }
  Range rows() const { return {0, shape().rows}; }
  Range columns() const { return {0, shape().cols}; }
};

/// The options that a step's memory depends on, besides the shape.
struct ScratchOptions {
  bool decay_is_horizontal = false;
  Index whole_rows = 0;  ///< of the block of which several processes have rows; 0 where this one has all

  Shape whole(Shape part) const { return {whole_rows > 0 ? whole_rows : part.rows, part.cols}; }
};

/// The check of a step: it looks for Inf, NaN or too large entries in the gradient and is not taken, or looks
/// for nothing.
enum class Check { gradient, nothing };

/// A step without memory of its own.
template <class Scalar>
struct NoStepMemory {
  NoStepMemory() = default;
  NoStepMemory(Shape, ScratchOptions) {}
};

/// Some columns of a row as the rule is given them after the momentum has advanced: visit(x) entry by entry,
/// for what is rare.
template <class Scalar, class Visit>
void scan_row(const Streams<Scalar>& streams, const StepCoefficients& coefficients, Index row, Range columns,
              Visit&& visit) {
  const Scalar beta = static_cast<Scalar>(coefficients.beta);
  const Scalar gradient_weight = static_cast<Scalar>(coefficients.weight_of_stored_gradient());
  const Scalar* momentum = streams.momentum.row(row);
  for (Index j = columns.begin; j < columns.end; ++j) {
    Scalar x = momentum[j];
    if (coefficients.nesterov) x = beta * x + gradient_weight * streams.gradient.at(row, j);
    visit(x);
  }
}

}}}  // namespace symopt::kernel
