// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/kernel/adamw.hpp>
#include <symopt/kernel/norm_factors.hpp>

#include <algorithm>
#include <cmath>

// Steps with second moments: one for each row here, one for each column, entry or block in the headers beside
// this one. They are called as
//   run(streams, roots, coefficients, own, check, memory)
// with the roots of the mean squares, which advance like the momentum; beta and gradient_weight of the
// coefficients are those of the momentum. Else they are as the steps of kernel/step.hpp. Those here need
// nothing of other rows, and do not use a reduction.
namespace symopt { inline namespace SYMOPT_ABI { namespace kernel {

/// The root of beta2 root^2 + second_weight x^2, whose squares may be out of range.
inline double next_root(double root, double x, const AdamWCoefficients& own) {
  const double largest = std::max(root, x);
  if (!(largest > 0)) return root + x;  // zero, or NaN
  const double a = root / largest, b = x / largest;
  return largest * std::sqrt(own.beta2 * a * a + own.second_weight * b * b);
}

/// The factor on a momentum: the first correction times `step_size` over (the bias-corrected root + eps).
template <class Scalar>
NormFactors<Scalar> factors_of_root(double root, const AdamWCoefficients& own, double step_size) {
  const double scale = root < 1e290 ? 1 : 0x1p-64;  // or the correction could take it out of range
  return {Norm{(root * scale) * own.second_correction + own.eps * scale, scale}, 0,
          own.first_correction * step_size};
}

/// The root mean square of `count` numbers of a gradient that is multiplied by a factor, from its norm; 0 of
/// none.
inline double root_mean_square(Norm norm, Index count, const StepCoefficients& coefficients) {
  return std::abs(coefficients.gradient_factor) *
         norm.over(std::sqrt(static_cast<double>(std::max<Index>(count, 1))));
}

/// One second moment for each row, row after row with each in the cache: five streams, and one more read of
/// the gradient where it is checked. Sums of squares as in RowNormStep.
struct AdaptiveRowsStep {
  template <class Scalar>
  using Memory = NoStepMemory<Scalar>;

  template <class Scalar>
  static bool run(const Streams<Scalar>& streams, double* roots, const StepCoefficients& coefficients,
                  const AdamWCoefficients& own, Check check, auto&, const auto&...) {
    if (!passes(check, streams)) return false;
    const Average<Scalar> average(coefficients);
    const Lanes<Scalar> keep(static_cast<Scalar>(1.0 - coefficients.decay));
    const Index cols = streams.shape().cols;
    for_each_chunk(chunks_of(streams.shape()), [&](Range rows) {
      for (Index i = rows.begin; i < rows.end; ++i) {
        const Norm norm = norm_from<Scalar>(advance(streams, average, i), [&](auto&& visit) {
          for (Index j = 0; j < cols; ++j) visit(streams.gradient.at(i, j));
        });
        roots[i] = next_root(roots[i], root_mean_square(norm, cols, coefficients), own);
        move(streams, keep, factors_of_root<Scalar>(roots[i], own, coefficients.step_size), i);
      }
    });
    return true;
  }

 private:
  /// The momentum of a row advances; returns the sum of squares of the gradient there.
  template <class Scalar>
  SYMOPT_INLINE static double advance(const Streams<Scalar>& streams, Average<Scalar> average, Index row) {
    using L = Lanes<Scalar>;
    DoubleLanes<Scalar> squares;
    sweep(
        {row, row + 1}, streams.columns(),
        [=](L g, L& m, DoubleLanes<Scalar>& sum) SYMOPT_INLINE_LAMBDA {
          m = average.next(m, g);
          sum.add_square(g);
        },
        in(streams.gradient), inout(streams.momentum), accumulate(squares));
    return squares.sum();
  }

  template <class Scalar>
  SYMOPT_INLINE static void move(const Streams<Scalar>& streams, Lanes<Scalar> keep,
                                 NormFactors<Scalar> factors, Index row) {
    using L = Lanes<Scalar>;
    const L scale(factors.scale), minus_factor(-factors.factor);
    sweep(
        {row, row + 1}, streams.columns(),
        [=](L m, L& w) SYMOPT_INLINE_LAMBDA { w = moved(w, keep, minus_factor, m * scale); },
        in(streams.momentum), inout(streams.weights));
  }
};

/// One second moment for each entry, in one sweep of seven streams, as AdamWStep; but for a root of a mean
/// square, which stays in range where the squares do not, in place of the mean square.
struct AdaptiveEntriesStep {
  template <class Scalar>
  using Memory = NoStepMemory<Scalar>;

  template <class Scalar>
  static bool run(const Streams<Scalar>& streams, const BlockView<Scalar>& roots,
                  const StepCoefficients& coefficients, const AdamWCoefficients& own, Check check, auto&,
                  const auto&...) {
    using L = Lanes<Scalar>;
    if (!passes(check, streams)) return false;
    const auto lanes = [](double x) { return L(static_cast<Scalar>(x)); };
    const Average<Scalar> average(coefficients);
    // A root that is near 1 would be rounded to another beta: what is lost of it is rounded much less.
    const L minus_lost = lanes(std::sqrt(own.beta2) - 1.0);
    const L add_root = lanes(std::sqrt(own.second_weight) * std::abs(coefficients.gradient_factor));
    const L first_correction = lanes(own.first_correction), second_correction = lanes(own.second_correction);
    const L eps = lanes(own.eps), one = lanes(1);
    const L keep = lanes(1.0 - coefficients.decay), minus_step_size = lanes(-coefficients.step_size);
    const L smallest = lanes(double(std::numeric_limits<Scalar>::min()));
    for_each_chunk(chunks_of(streams.shape()), [&](Range rows) {
      sweep(
          rows, streams.columns(),
          [=](L g, L& m, L& root, L& w) SYMOPT_INLINE_LAMBDA {
            m = average.next(m, g);
            const L kept = multiply_add(minus_lost, root, root), added = add_root * absolute(g);
            const L large = larger(kept, added), ratio = smaller(kept, added) / larger(smallest, large);
            root = without_subnormals(large * square_root(multiply_add(ratio, ratio, one)));
            const L direction = (m * first_correction) / multiply_add(root, second_correction, eps);
            w = moved(w, keep, minus_step_size, direction);
          },
          in(streams.gradient), inout(streams.momentum), inout(roots), inout(streams.weights));
    });
    return true;
  }
};

}}}  // namespace symopt::kernel
