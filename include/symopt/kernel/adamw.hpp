// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/kernel/entrywise.hpp>

namespace symopt { inline namespace SYMOPT_ABI { namespace kernel {

/// The coefficients of AdamW at one step: those of the moments, and their bias corrections.
struct AdamWCoefficients {
  double beta1 = 0.9, first_weight = 0.1;       ///< m <- beta1 m + first_weight g
  double beta2 = 0.999, second_weight = 0.001;  ///< v <- beta2 v + second_weight g^2
  double first_correction = 1;                  ///< 1 / (1 - beta1^t)
  double second_correction = 1;                 ///< 1 / sqrt(1 - beta2^t)
  double eps = 1e-8;
};

/// AdamW in one sweep of seven streams: gradient, both moments and weights in, moments and weights out; 28
/// bytes for a float, and one more read of the gradient where it is checked. `streams.momentum` is the first
/// moment. A moment below the smallest normal number becomes zero.
struct AdamWStep {
  template <class Scalar>
  static bool run(const Streams<Scalar>& streams, const BlockView<Scalar>& second_moment,
                  const StepCoefficients& coefficients, const AdamWCoefficients& own, Check check) {
    using L = Lanes<Scalar>;
    if (!passes(check, streams)) return false;
    const auto lanes = [](double x) { return L(static_cast<Scalar>(x)); };
    const L beta1 = lanes(own.beta1), first_weight = lanes(own.first_weight);
    const L beta2 = lanes(own.beta2), second_weight = lanes(own.second_weight);
    const L first_correction = lanes(own.first_correction), second_correction = lanes(own.second_correction);
    const L gradient_factor = lanes(coefficients.gradient_factor), eps = lanes(own.eps);
    const L keep = lanes(1.0 - coefficients.decay), minus_step_size = lanes(-coefficients.step_size);
    for_each_chunk(chunks_of(streams.shape()), [&](Range rows) {
      sweep(
          rows, streams.columns(),
          [=](L stored, L& m, L& v, L& w) SYMOPT_INLINE_LAMBDA {
            const L g =
                gradient_factor * stored;  // before it is squared: a large one may be clipped to a small one
            m = without_subnormals(multiply_add(beta1, m, first_weight * g));
            v = without_subnormals(multiply_add(beta2, v, (second_weight * g) * g));
            const L direction = (m * first_correction) / multiply_add(square_root(v), second_correction, eps);
            w = moved(w, keep, minus_step_size, direction);
          },
          in(streams.gradient), inout(streams.momentum), inout(second_moment), inout(streams.weights));
    });
    return true;
  }
};

}}}  // namespace symopt::kernel
