// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/kernel/row_steps.hpp>

namespace symopt { inline namespace SYMOPT_ABI { namespace kernel {

/// The numbers of AdamW at one step: the moments' factors, and what takes their bias out.
struct AdamWCoefficients {
  double keep_first = 0.9, add_first = 0.1;
  double keep_second = 0.999, add_second = 0.001;
  double first_correction = 1;   ///< 1 / (1 - beta1^t)
  double second_correction = 1;  ///< 1 / sqrt(1 - beta2^t)
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
    const L keep_first = lanes(own.keep_first), add_first = lanes(own.add_first);
    const L keep_second = lanes(own.keep_second), add_second = lanes(own.add_second);
    const L first_correction = lanes(own.first_correction), second_correction = lanes(own.second_correction);
    const L gradient_factor = lanes(coefficients.gradient_factor);
    const L eps = lanes(own.eps), keep = lanes(1.0 - coefficients.decay), minus_length = lanes(-coefficients.step_size);
    const Index cols = streams.shape().cols;
    for_each_piece(pieces_of(streams.shape()), [&](Index begin, Index end) {
      for (Index i = begin; i < end; ++i)
        for_each_stretch(
            0, cols,
            [&](Index col, Index count) SYMOPT_INLINE_LAMBDA {
              const GradientWindow<Scalar> gradient(streams.gradient, i, col, count);
              const WeightsWindow<Scalar> weights(streams.weights, i, col, count);
              Scalar* w = weights.data();
              const Scalar* g = gradient.data();
              Scalar *m = streams.momentum.row(i) + col, *v = second_moment.row(i) + col;
              for_each_place<Scalar>(count, [&](auto at) SYMOPT_INLINE_LAMBDA {
                const L slope = gradient_factor * load(g, at);
                const L first = without_subnormals(multiply_add(keep_first, load(m, at), add_first * slope));
                const L second =
                    without_subnormals(multiply_add(keep_second, load(v, at), add_second * (slope * slope)));
                store(m, at, first);
                store(v, at, second);
                const L direction =
                    (first * first_correction) / multiply_add(square_root(second), second_correction, eps);
                store(w, at, moved(load(w, at), keep, minus_length, direction));
              });
            },
            streams.gradient, streams.weights);
    });
    return true;
  }
};

}}}  // namespace symopt::kernel
