// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/kernel/momentum_sums.hpp>
#include <symopt/kernel/places.hpp>
#include <symopt/kernel/scaling.hpp>
#include <symopt/kernel/threads.hpp>
#include <symopt/kernel/weights_view.hpp>
#include <symopt/kernel/windows.hpp>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

// What the fused steps have in common. A fused step is a struct with
//   template <class Scalar> struct Memory            made once from a Shape and ScratchOptions
//   template <class Scalar> bool run(streams, coefficients, check, memory) const
// that reads gradient, momentum and weights as seldom as it can, and writes momentum and weights. It works in
// the frame in which the weights' memory runs along rows. It returns false, and has changed nothing, when it
// was told to check the gradient and found an Inf or a NaN. It throws nothing and allocates nothing.
// kernel/reference.hpp says the same in plain loops.
namespace symopt { inline namespace SYMOPT_ABI { namespace kernel {

/// The memory of one block. The momentum's rows are contiguous.
template <class Scalar>
struct Streams {
  GradientView<Scalar> gradient;
  BlockView<Scalar> momentum;
  WeightsView<Scalar> weights;
  MomentumSums* momentum_sums = nullptr;  ///< for a step that keeps them; without, it makes them each time

  Shape shape() const { return weights.shape(); }
};
template <class Scalar>
using GradientWindow = typename GradientView<Scalar>::Window;
template <class Scalar>
using WeightsWindow = typename WeightsView<Scalar>::Window;

/// The coefficients of one step:
///   m <- beta m + gradient_weight g,   W <- W - decay W (or decay P W) - step_size * direction
struct StepCoefficients {
  double beta = 0;
  double gradient_weight = 1;
  bool nesterov = false;
  double decay = 0;
  bool decay_is_horizontal = false;
  double step_size = 0;
  double gradient_factor = 1;  ///< of clipping: multiplies the gradient

  /// What an entry of the gradient is multiplied by in the average.
  double weight_of_gradient() const { return gradient_weight * gradient_factor; }
};

/// What a step's memory depends on besides the shape.
struct ScratchOptions {
  bool decay_is_horizontal = false;
};

enum class Check { gradient, nothing };

/// The running average in lanes. An entry of the momentum below the smallest normal number becomes zero:
/// rounding would keep a subnormal one alive for ever, and slow every step.
template <class Scalar>
struct Average {
  Lanes<Scalar> keep, add;
  bool nesterov;

  explicit Average(const StepCoefficients& coefficients)
      : keep(static_cast<Scalar>(coefficients.beta)),
        add(static_cast<Scalar>(coefficients.weight_of_gradient())),
        nesterov(coefficients.nesterov) {}

  SYMOPT_INLINE Lanes<Scalar> next(Lanes<Scalar> momentum, Lanes<Scalar> gradient) const {
    return without_subnormals(multiply_add(keep, momentum, add * gradient));
  }
  /// What the rule is given, from the next momentum: that, or with Nesterov what one more step with the same
  /// gradient would make of it.
  SYMOPT_INLINE Lanes<Scalar> ahead(Lanes<Scalar> next_momentum, Lanes<Scalar> gradient) const {
    return nesterov ? multiply_add(keep, next_momentum, add * gradient) : next_momentum;
  }
};

/// W - decay W - length * direction in lanes; the factor on the direction may be another one in each row.
template <class Scalar>
SYMOPT_INLINE Lanes<Scalar> moved(Lanes<Scalar> weights, Lanes<Scalar> keep, Lanes<Scalar> minus_length,
                                  Lanes<Scalar> direction) {
  return multiply_add(minus_length, direction, keep * weights);
}

inline double power_of_two(int exponent) {
  return std::bit_cast<double>(static_cast<std::uint64_t>(exponent + 1023) << 52);
}

/// x -> length * x / (norm + eps) as (x * scale) * factor. The scale is 1 but for a quotient length / (norm +
/// eps) far out in the scalar's range, beyond 2^64 or 2^-64 in float: then it is a power of two that brings x
/// near 1. So nothing overflows, also where the factor is multiplied by a length later, and what underflows
/// would have been lost in the sum. Zero for a zero norm.
template <class Scalar>
struct NormFactors {
  Scalar scale = 1;
  Scalar factor = 0;

  NormFactors() = default;
  NormFactors(double norm, double eps, double length) {
    if (norm == 0) return;
    const double divisor = norm + eps, quotient = length / divisor;
    constexpr int most = std::numeric_limits<Scalar>::max_exponent - 2;
    const double magnitude = std::abs(quotient), far = power_of_two(most / 2 + 1);
    const int exponent = static_cast<int>(std::bit_cast<std::uint64_t>(divisor) >> 52) - 1023;
    if ((magnitude <= far && magnitude >= 1 / far) || exponent == 1024) {  // the latter is Inf or NaN
      factor = static_cast<Scalar>(quotient);
      return;
    }
    const double power = power_of_two(std::clamp(-exponent, -most, most));
    scale = static_cast<Scalar>(power);
    factor = static_cast<Scalar>(length / (divisor * power));
  }
};

/// The square root of a sum of squares in double. Doubles whose squares left the range are added up again,
/// scaled by a power of two: `scan` shows all entries to a function.
template <class Scalar, class Scan>
double norm_from(double sum_of_squares, Scan&& scan) {
  if constexpr (sizeof(Scalar) < sizeof(double)) return std::sqrt(sum_of_squares);
  if ((sum_of_squares > 1e-280 && sum_of_squares < 1e300) || sum_of_squares != sum_of_squares)
    return std::sqrt(sum_of_squares);
  double largest = 0;
  scan([&](Scalar x) { largest = std::max(largest, static_cast<double>(std::abs(x))); });
  if (largest == 0 || !std::isfinite(largest)) return largest;
  const double scale = power_of_two_scale(largest);
  double sum = 0;
  scan([&](Scalar x) { sum += (static_cast<double>(x) * scale) * (static_cast<double>(x) * scale); });
  return std::sqrt(sum) / scale;
}

/// One row, or some of its columns, as the rule sees it after the momentum has advanced: visit(x) entry by
/// entry, for what is rare.
template <class Scalar, class Visit>
void scan_row(const Streams<Scalar>& streams, const StepCoefficients& coefficients, Index row, Index begin, Index end,
              Visit&& visit) {
  const Scalar* momentum = streams.momentum.row(row);
  for (Index j = begin; j < end; ++j) {
    Scalar x = momentum[j];
    if (coefficients.nesterov)
      x = static_cast<Scalar>(coefficients.beta) * x +
          static_cast<Scalar>(coefficients.weight_of_gradient()) * streams.gradient.at(row, j);
    visit(x);
  }
}

/// One entry as the rule will see it, of a momentum that has yet to advance.
template <class Scalar>
Scalar entry_ahead(const Streams<Scalar>& streams, Average<Scalar> average, Index row, Index col) {
  const Lanes<Scalar> slope(streams.gradient.at(row, col));
  const Lanes<Scalar> next = average.next(Lanes<Scalar>(streams.momentum.row(row)[col]), slope);
  return static_cast<Scalar>(average.ahead(next, slope).value[0]);
}

/// work(first row, end row) for the pieces of a block, on all threads.
template <class Work>
void for_each_piece(const Pieces& pieces, Work&& work) {
  parallel_sweep(pieces.count, [&](Index piece) { work(pieces.first(piece), pieces.end(piece)); });
}

/// A step without memory of its own.
template <class Scalar>
struct NoStepMemory {
  NoStepMemory() = default;
  NoStepMemory(Shape, ScratchOptions) {}
};

}}}  // namespace symopt::kernel
