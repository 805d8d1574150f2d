// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/kernel/all_finite.hpp>
#include <symopt/kernel/step.hpp>

// Steps that see one row at a time: one sweep over memory. Five streams (gradient, momentum and weights in,
// momentum and weights out), and one more read of the gradient where it is checked.
namespace symopt { inline namespace SYMOPT_ABI { namespace kernel {

/// The check of steps whose one sweep writes at once.
template <class Scalar>
bool passes(Check check, const Streams<Scalar>& streams) {
  return check == Check::nothing || all_finite(streams.gradient);
}

/// Directions that are a function of one entry: Map{}(lanes).
template <class Map>
struct EntrywiseStep {
  Map map{};

  template <class Scalar>
  using Memory = NoStepMemory<Scalar>;

  template <class Scalar>
  bool run(const Streams<Scalar>& streams, const StepCoefficients& coefficients, Check check, auto&) const {
    if (!passes(check, streams)) return false;
    sweep(streams, coefficients, map);
    return true;
  }

  /// W <- W - decay W - length * map(momentum), the momentum advancing.
  template <class Scalar, class Function>
  static void sweep(const Streams<Scalar>& streams, const StepCoefficients& coefficients, Function function) {
    using L = Lanes<Scalar>;
    const Average<Scalar> average(coefficients);
    const L keep(static_cast<Scalar>(1.0 - coefficients.decay)),
        minus_length(static_cast<Scalar>(-coefficients.step_size));
    const Index cols = streams.shape().cols;
    for_each_piece(pieces_of(streams.shape()), [&](Index first, Index end) {
      for (Index i = first; i < end; ++i)
        for_each_stretch(
            0, cols,
            [&](Index col, Index count) SYMOPT_INLINE_LAMBDA {
              const GradientWindow<Scalar> gradient(streams.gradient, i, col, count);
              const WeightsWindow<Scalar> weights(streams.weights, i, col, count);
              Scalar* w = weights.data();
              const Scalar* g = gradient.data();
              Scalar* m = streams.momentum.row(i) + col;
              for_each_place<Scalar>(count, [&](auto at) SYMOPT_INLINE_LAMBDA {
                const L slope = load(g, at), next = average.next(load(m, at), slope);
                store(m, at, next);
                store(w, at, moved(load(w, at), keep, minus_length, function(average.ahead(next, slope))));
              });
            },
            streams.gradient, streams.weights);
    });
  }
};

struct Unchanged {
  template <class Scalar>
  SYMOPT_INLINE Lanes<Scalar> operator()(Lanes<Scalar> x) const {
    return x;
  }
};
struct SignOfLanes {
  template <class Scalar>
  SYMOPT_INLINE Lanes<Scalar> operator()(Lanes<Scalar> x) const {
    return sign(x);
  }
};
using IdentityStep = EntrywiseStep<Unchanged>;
using SignStep = EntrywiseStep<SignOfLanes>;

/// The momentum of some columns of a row advances; returns the sums of squares of what the rule sees there.
template <class Scalar>
SYMOPT_INLINE DoubleLanes<Scalar> advance_row(const Streams<Scalar>& streams, Average<Scalar> average,
                                              Index row) {
  DoubleLanes<Scalar> squares;
  for_each_stretch(
      0, streams.shape().cols,
      [&](Index col, Index count) SYMOPT_INLINE_LAMBDA {
        const GradientWindow<Scalar> gradient(streams.gradient, row, col, count);
        const Scalar* g = gradient.data();
        Scalar* m = streams.momentum.row(row) + col;
        DoubleLanes<Scalar> sums = squares;  // local, so that it stays in registers across the stores
        for_each_place<Scalar>(count, [&](auto at) SYMOPT_INLINE_LAMBDA {
          const Lanes<Scalar> slope = load(g, at), next = average.next(load(m, at), slope);
          store(m, at, next);
          sums.add_square(average.ahead(next, slope));
        });
        squares = sums;
      },
      streams.gradient);
  return squares;
}

/// W <- W - decay W - x * scale * factor on a row whose momentum has advanced.
template <class Scalar>
SYMOPT_INLINE void move_row(const Streams<Scalar>& streams, Average<Scalar> average, Lanes<Scalar> keep,
                            NormFactors<Scalar> factors, Index row) {
  using L = Lanes<Scalar>;
  const L scale(factors.scale), minus_length(-factors.factor);
  for_each_stretch(
      0, streams.shape().cols,
      [&](Index col, Index count) SYMOPT_INLINE_LAMBDA {
        const GradientWindow<Scalar> gradient(streams.gradient, row, col, average.nesterov ? count : 0);
        const WeightsWindow<Scalar> weights(streams.weights, row, col, count);
        Scalar* w = weights.data();
        const Scalar* g = gradient.data();
        const Scalar* m = streams.momentum.row(row) + col;
        for_each_place<Scalar>(count, [&](auto at) SYMOPT_INLINE_LAMBDA {
          L x = load(m, at);
          if (average.nesterov) x = average.ahead(x, load(g, at));
          store(w, at, moved(load(w, at), keep, minus_length, x * scale));
        });
      },
      streams.gradient, streams.weights);
}

/// Every row over its norm plus eps. Sums of squares in double, of floats exactly: a relative error of at
/// most cols / lanes * 2^-53 in a norm.
struct RowNormStep {
  double eps;

  template <class Scalar>
  using Memory = NoStepMemory<Scalar>;

  template <class Scalar>
  bool run(const Streams<Scalar>& streams, const StepCoefficients& coefficients, Check check, auto&) const {
    if (!passes(check, streams)) return false;
    const Average<Scalar> average(coefficients);
    const Lanes<Scalar> keep(static_cast<Scalar>(1.0 - coefficients.decay));
    for_each_piece(pieces_of(streams.shape()), [&](Index first, Index end) {
      for (Index i = first; i < end; ++i) {
        const double norm = norm_from<Scalar>(advance_row(streams, average, i).sum(), [&](auto&& visit) {
          scan_row(streams, coefficients, i, 0, streams.shape().cols, visit);
        });
        move_row(streams, average, keep, NormFactors<Scalar>(norm, eps, coefficients.step_size), i);
      }
    });
    return true;
  }
};

}}}  // namespace symopt::kernel
