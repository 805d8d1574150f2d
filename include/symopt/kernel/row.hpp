// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/kernel/entrywise.hpp>
#include <symopt/kernel/norm_factors.hpp>

namespace symopt { inline namespace SYMOPT_ABI { namespace kernel {

/// Every row over its norm with eps, row after row with each in the cache: five streams, and one more read of
/// the gradient where it is checked. Sums of squares in double, of floats exactly: a relative error of at
/// most cols / lanes * 2^-53 in a norm. A reduction is not used: rows need nothing of each other.
struct RowNormStep {
  Eps eps;

  template <class Scalar>
  using Memory = NoStepMemory<Scalar>;

  template <class Scalar>
  bool run(const Streams<Scalar>& streams, const StepCoefficients& coefficients, Check check, auto&,
           const auto&...) const {
    if (!passes(check, streams)) return false;
    const Average<Scalar> average(coefficients);
    const Lanes<Scalar> keep(static_cast<Scalar>(1.0 - coefficients.decay));
    for_each_chunk(chunks_of(streams.shape()), [&](Range rows) {
      for (Index i = rows.begin; i < rows.end; ++i) {
        const Norm norm = norm_from<Scalar>(advance(streams, average, i), [&](auto&& visit) {
          scan_row(streams, coefficients, i, streams.columns(), visit);
        });
        move(streams, average, keep, NormFactors<Scalar>(norm, eps, coefficients.step_size), i);
      }
    });
    return true;
  }

 private:
  /// The momentum of a row advances; returns the sum of squares of what the rule is given there.
  template <class Scalar>
  SYMOPT_INLINE static double advance(const Streams<Scalar>& streams, Average<Scalar> average, Index row) {
    using L = Lanes<Scalar>;
    DoubleLanes<Scalar> squares;
    sweep(
        {row, row + 1}, streams.columns(),
        [=](L g, L& m, DoubleLanes<Scalar>& sum) SYMOPT_INLINE_LAMBDA {
          m = average.next(m, g);
          sum.add_square(average.nesterov_momentum(m, g));
        },
        in(streams.gradient), inout(streams.momentum), accumulate(squares));
    return squares.sum();
  }

  /// W <- W - decay W - x * scale * factor, x the momentum of the row after it has advanced.
  template <class Scalar>
  SYMOPT_INLINE static void move(const Streams<Scalar>& streams, Average<Scalar> average, Lanes<Scalar> keep,
                                 NormFactors<Scalar> factors, Index row) {
    using L = Lanes<Scalar>;
    const L scale(factors.scale), minus_factor(-factors.factor);
    sweep(
        {row, row + 1}, streams.columns(),
        [=](OptionalLanes<Scalar> g, L m, L& w) SYMOPT_INLINE_LAMBDA {
          w = moved(w, keep, minus_factor, average.nesterov_momentum(m, g) * scale);
        },
        in_if(average.nesterov, streams.gradient), in(streams.momentum), inout(streams.weights));
  }
};

}}}  // namespace symopt::kernel
