// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/kernel/all_finite.hpp>
#include <symopt/kernel/step.hpp>

namespace symopt { inline namespace SYMOPT_ABI { namespace kernel {

/// The check of steps that write in their first sweep.
template <class Scalar>
bool passes(Check check, const Streams<Scalar>& streams) {
  return check == Check::nothing || all_below(streams.gradient_exponent, streams.gradient);
}

/// The momentum advances, and W <- W - decay W - step_size * map(momentum), entry by entry: map(lanes). Five
/// streams: gradient, momentum and weights in, momentum and weights out.
template <class Scalar, class Map>
void entrywise_sweep(const Streams<Scalar>& streams, const StepCoefficients& coefficients, Map map) {
  using L = Lanes<Scalar>;
  const Average<Scalar> average(coefficients);
  const L keep(static_cast<Scalar>(1.0 - coefficients.decay));
  const L minus_step_size(static_cast<Scalar>(-coefficients.step_size));
  for_each_chunk(chunks_of(streams.shape()), [&](Range rows) {
    sweep(
        rows, streams.columns(),
        [=](L g, L& m, L& w) SYMOPT_INLINE_LAMBDA {
          m = average.next(m, g);
          w = moved(w, keep, minus_step_size, map(average.nesterov_momentum(m, g)));
        },
        in(streams.gradient), inout(streams.momentum), inout(streams.weights));
  });
}

/// Directions that are a function of one entry. One sweep, and one more read of the gradient where it is
/// checked. A reduction is not used.
template <class Map>
struct EntrywiseStep {
  Map map{};

  template <class Scalar>
  using Memory = NoStepMemory<Scalar>;

  template <class Scalar>
  bool run(const Streams<Scalar>& streams, const StepCoefficients& coefficients, Check check, auto&,
           const auto&...) const {
    if (!passes(check, streams)) return false;
    entrywise_sweep(streams, coefficients, map);
    return true;
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

}}}  // namespace symopt::kernel
