// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/kernel/adaptive.hpp>
#include <symopt/kernel/column_sums.hpp>

namespace symopt { inline namespace SYMOPT_ABI { namespace kernel {

/// One second moment for each column, on memory that runs along rows: a sweep that advances the momentum and
/// adds up squares, and one that moves the weights. Six streams, and one more read of the gradient where it
/// is checked. Sums of squares as in ColumnNormStep.
/// With `is_centred`, the mean column is subtracted from the gradient and from the direction: I - 1 1^T /
/// cols on the right. A row then is read once more in either sweep, from the cache where it fits.
template <bool is_centred>
struct AdaptiveColumnsStep {
  template <class Scalar>
  struct Memory {
    Memory(Shape shape, ScratchOptions)
        : sums(shape),
          scale(padded(shape.cols)),
          minus_factor(scale.size()),
          means(is_centred ? shape.rows : 0) {}

    ColumnSums sums;
    Buffer<Scalar> scale, minus_factor;
    Buffer<double> means;  ///< of the gradient's rows
  };

  template <class Scalar, class Reduction = NoReduction>
  static bool run(const Streams<Scalar>& streams, double* roots, const StepCoefficients& coefficients,
                  const AdamWCoefficients& own, Check check, auto& memory, const Reduction& reduction = {}) {
    const Shape shape = streams.shape(), whole = reduction.whole(shape);
    if (whole.rows == 0 || whole.cols == 0) return true;
    if (!passes(check, streams)) return false;
    const auto add = [&](Range rows, double* line) { advance(streams, coefficients, memory, rows, line); };
    const double* squares = memory.sums.over(shape, add, reduction);
    const bool is_scaled = advance_roots(streams, coefficients, own, memory, squares, roots, reduction);
    for_each_chunk(chunks_of(shape), [&](Range rows) {
      if (is_scaled) {
        move(streams, coefficients, memory, rows, per_column<Scalar>(memory.scale.data()));
      } else {
        move(streams, coefficients, memory, rows);
      }
    });
    return true;
  }

 private:
  /// A mean in Scalar, and what rounding took.
  template <class Scalar>
  struct Mean {
    Lanes<Scalar> rounded, rest;
    explicit Mean(double exact)
        : rounded(static_cast<Scalar>(exact)),
          rest(static_cast<Scalar>(exact - static_cast<double>(static_cast<Scalar>(exact)))) {}
  };

  /// Advances the momentum and adds up squares: in groups of rows that share the sums, where memory is not
  /// slower than that.
  template <class Scalar>
  static void advance(const Streams<Scalar>& streams, const StepCoefficients& coefficients, auto& memory,
                      Range rows, double* squares) {
    using L = Lanes<Scalar>;
    const Shape shape = streams.shape();
    const Average<Scalar> average(coefficients);
    if constexpr (is_centred) {
      for (Index i = rows.begin; i < rows.end; ++i) {
        DoubleLanes<Scalar> total;
        sweep(
            {i, i + 1}, streams.columns(),
            [](L g, DoubleLanes<Scalar>& sum) SYMOPT_INLINE_LAMBDA { sum.add(g); }, in(streams.gradient),
            accumulate(total));
        memory.means.data()[i] = total.sum() / static_cast<double>(shape.cols);
        const Mean<Scalar> mean(memory.means.data()[i]);
        sweep(
            {i, i + 1}, streams.columns(),
            [=](L g, L& m, DoubleLanes<Scalar>& sum) SYMOPT_INLINE_LAMBDA {
              const L centred = (g - mean.rounded) - mean.rest;
              m = average.next(m, centred);
              sum.add_square(centred);
            },
            in(streams.gradient), inout(streams.momentum), column_sums(squares));
      }
    } else {
      constexpr Index largest_momentum_for_groups = Index{16} * 1024 * 1024;
      const auto sweep_in_groups_of = [&](auto size) {
        sweep<size>(
            rows, streams.columns(),
            [=](L g, L& m, DoubleLanes<Scalar>& sum) SYMOPT_INLINE_LAMBDA {
              m = average.next(m, g);
              sum.add_square(g);
            },
            in<Fetch::close>(streams.gradient), inout<Fetch::close>(streams.momentum), column_sums(squares));
      };
      if (shape.rows * shape.cols * static_cast<Index>(sizeof(Scalar)) <= largest_momentum_for_groups) {
        sweep_in_groups_of(std::integral_constant<int, 4>{});
      } else {
        sweep_in_groups_of(std::integral_constant<int, 1>{});
      }
    }
  }

  /// Returns whether any scale is not 1.
  template <class Scalar>
  static bool advance_roots(const Streams<Scalar>& streams, const StepCoefficients& coefficients,
                            const AdamWCoefficients& own, auto& memory, const double* squares, double* roots,
                            const auto& reduction) {
    const Shape shape = streams.shape(), whole = reduction.whole(shape);
    bool is_scaled = false;
    for (Index j = 0; j < shape.cols; ++j) {
      const auto column = [&](auto&& show) {
        for (Index i = 0; i < shape.rows; ++i) {
          const double mean = is_centred ? memory.means.data()[i] : 0;
          show(static_cast<Scalar>(static_cast<double>(streams.gradient.at(i, j)) - mean));
        }
      };
      const Norm norm = norm_from<Scalar>(
          squares[j], [&](auto&& visit) { reduction.template scan<Scalar>(column, visit); });
      roots[j] = next_root(roots[j], root_mean_square(norm, whole.rows, coefficients), own);
      const auto factors = factors_of_root<Scalar>(roots[j], own, coefficients.step_size);
      memory.scale.data()[j] = factors.scale;
      memory.minus_factor.data()[j] = -factors.factor;
      is_scaled |= factors.scale != Scalar(1);
    }
    return is_scaled;
  }

  /// W <- W - decay W - momentum * scale * factor, or where that is centred without its mean column; `scales`
  /// where any scale is not 1.
  template <class Scalar>
  static void move(const Streams<Scalar>& streams, const StepCoefficients& coefficients, auto& memory,
                   Range rows, auto... scales) {
    using L = Lanes<Scalar>;
    const L keep(static_cast<Scalar>(1.0 - coefficients.decay));
    const auto factor = per_column<Scalar>(memory.minus_factor.data());
    if constexpr (is_centred) {
      for (Index i = rows.begin; i < rows.end; ++i) {
        const L shift(static_cast<Scalar>(row_shift(streams, coefficients, i, factor, scales...)));
        sweep(
            {i, i + 1}, streams.columns(),
            [=](L m, L& w, L factor_here, auto... scale) SYMOPT_INLINE_LAMBDA {
              w = multiply_add(factor_here, (m * ... * scale), multiply_add(keep, w, shift));
            },
            in(streams.momentum), inout(streams.weights), factor, scales...);
      }
    } else {
      sweep(
          rows, streams.columns(),
          [=](L m, L& w, L factor_here, auto... scale)
              SYMOPT_INLINE_LAMBDA { w = moved(w, keep, factor_here, (m * ... * scale)); },
          in<Fetch::close>(streams.momentum), inout<Fetch::close>(streams.weights), factor, scales...);
    }
  }

  /// The number that is added to a row of the weights, so that neither the step nor horizontal decay has a
  /// mean.
  template <class Scalar>
  static double row_shift(const Streams<Scalar>& streams, const StepCoefficients& coefficients, Index row,
                          auto factor, auto... scales) {
    using L = Lanes<Scalar>;
    const bool decays = coefficients.decay != 0 && coefficients.decay_is_horizontal;
    const double cols = static_cast<double>(streams.shape().cols);
    DoubleLanes<Scalar> steps, weights;
    sweep(
        {row, row + 1}, streams.columns(),
        [](L m, L factor_here, DoubleLanes<Scalar>& sum, auto... scale)
            SYMOPT_INLINE_LAMBDA { sum.add(factor_here * (m * ... * scale)); },
        in(streams.momentum), factor, accumulate(steps), scales...);
    if (!decays) return -steps.sum() / cols;
    sweep(
        {row, row + 1}, streams.columns(),
        [](L w, DoubleLanes<Scalar>& sum) SYMOPT_INLINE_LAMBDA { sum.add(w); }, in(streams.weights),
        accumulate(weights));
    return (coefficients.decay * weights.sum() - steps.sum()) / cols;
  }
};

}}}  // namespace symopt::kernel
