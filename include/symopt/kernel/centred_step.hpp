// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/kernel/column_sums.hpp>
#include <symopt/kernel/row_steps.hpp>

namespace symopt::inline SYMOPT_ABI::kernel {

/// P RowNorm P with P = I - 1 1^T / rows: the mean row subtracted before and after the rows are normalized.
/// Three sweeps, of eight streams together: one reads gradient and momentum for the mean row and checks, one
/// advances the momentum and adds up the normalized rows, one moves the weights. Horizontal decay reads the
/// weights once more. Means and sums of squares in double: relative errors of at most rows * 2^-53 and cols *
/// 2^-53.
struct CentredRowNormStep {
  double eps;

  template <class Scalar>
  struct Memory {
    Memory(Shape shape, StepNeeds needs)
        : sums(shape),
          weight_sums(needs.decay_is_horizontal ? shape : Shape{}),
          mean(padded(shape.cols)),
          mean_rest(mean.size()),
          shift(mean.size()),
          scale(shape.rows),
          factor(shape.rows) {}

    ColumnSums sums, weight_sums;
    Buffer<Scalar> mean, mean_rest;  ///< the mean row: rounded, and what rounding took
    Buffer<Scalar> shift;            ///< what is added to every row of the weights
    Buffer<Scalar> scale, factor;    ///< of each row
  };

  template <class Scalar>
  bool run(const Streams<Scalar>& streams, const StepNumbers& numbers, Check check, auto& memory) const {
    const Shape shape = streams.shape();
    if (shape.rows == 0 || shape.cols == 0) return true;
    const double rows = static_cast<double>(shape.rows);

    std::atomic<bool> finite = true;
    const double* sums = memory.sums.over(shape, [&](Index first, Index last, double* line) {
      if (!add_momentum(streams, numbers, first, last, line)) finite.store(false, std::memory_order_relaxed);
    });
    if (check == Check::gradient && !finite) return false;
    for (Index j = 0; j < shape.cols; ++j) {
      const double mean = sums[j] / rows;
      memory.mean.data()[j] = static_cast<Scalar>(mean);
      memory.mean_rest.data()[j] = static_cast<Scalar>(mean - static_cast<double>(memory.mean.data()[j]));
    }

    sums = memory.sums.over(shape, [&](Index first, Index last, double* line) {
      normalize(streams, numbers, memory, first, last, line);
    });
    for (Index j = 0; j < shape.cols; ++j)
      memory.shift.data()[j] = static_cast<Scalar>(numbers.length * (sums[j] / rows));
    if (numbers.decay != 0 && numbers.decay_is_horizontal) {
      sums = memory.weight_sums.over(
          shape, [&](Index first, Index last, double* line) { add_weights(streams, first, last, line); });
      for (Index j = 0; j < shape.cols; ++j)
        memory.shift.data()[j] = static_cast<Scalar>(static_cast<double>(memory.shift.data()[j]) +
                                                     numbers.decay * (sums[j] / rows));
    }
    move(streams, numbers, memory);
    return true;
  }

 private:
  template <class Scalar>
  static bool add_momentum(const Streams<Scalar>& streams, const StepNumbers& numbers, Index first,
                           Index last, double* line) {
    const Average<Scalar> average(numbers);
    typename Lanes<Scalar>::BitVector found{};
    for (Index i = first; i < last; ++i)
      for_each_stretch(
          0, streams.shape().cols,
          [&](Index col, Index count) {
            const GradientWindow<Scalar> gradient(streams.gradient, i, col, count);
            const Scalar* g = gradient.data();
            const Scalar* m = streams.momentum.row(i) + col;
            auto found_here = found;  // in registers: what is written to the line cannot be it
            for_each_place<Scalar>(count, [&](auto at) {
              const Lanes<Scalar> slope = load(g, at);
              found_here |= non_finite_bits(slope);
              add_to(line + col, at, average.ahead(average.next(load(m, at), slope), slope));
            });
            found = found_here;
          },
          streams.gradient);
    return !has_top_bit<Scalar>(found);
  }

  template <class Scalar>
  static void add_weights(const Streams<Scalar>& streams, Index first, Index last, double* line) {
    for (Index i = first; i < last; ++i)
      for_each_stretch(
          0, streams.shape().cols,
          [&](Index col, Index count) {
            const WeightsWindow<Scalar> weights(streams.weights, i, col, count, false);
            const Scalar* w = weights.data();
            for_each_place<Scalar>(count, [&](auto at) { add_to(line + col, at, load(w, at)); });
          },
          streams.weights);
  }

  /// visit(place, column, centred entries) on a row whose momentum has advanced.
  template <class Scalar, class Visit>
  SYMOPT_INLINE static void for_each_centred(const Streams<Scalar>& streams, const Average<Scalar>& average,
                                             auto& memory, Index row, Visit&& visit) {
    for_each_stretch(
        0, streams.shape().cols,
        [&](Index col, Index count) {
          const GradientWindow<Scalar> gradient(streams.gradient, row, col, average.nesterov ? count : 0);
          const Scalar* g = gradient.data();
          const Scalar* m = streams.momentum.row(row) + col;
          const Scalar *mean = memory.mean.data() + col, *rest = memory.mean_rest.data() + col;
          for_each_place<Scalar>(count, [&](auto at) {
            Lanes<Scalar> x = load(m, at);
            if (average.nesterov) x = average.ahead(x, load(g, at));
            visit(at, col, (x - load(mean, at)) - load(rest, at));
          });
        },
        streams.gradient);
  }

  /// Advances the momentum, finds the rows' factors and adds up the normalized rows.
  template <class Scalar>
  void normalize(const Streams<Scalar>& streams, const StepNumbers& numbers, auto& memory, Index first,
                 Index last, double* line) const {
    const Average<Scalar> average(numbers);
    for (Index i = first; i < last; ++i) {
      DoubleLanes<Scalar> squares;
      for_each_stretch(
          0, streams.shape().cols,
          [&](Index col, Index count) {
            const GradientWindow<Scalar> gradient(streams.gradient, i, col, count);
            const Scalar* g = gradient.data();
            Scalar* m = streams.momentum.row(i) + col;
            const Scalar *mean = memory.mean.data() + col, *rest = memory.mean_rest.data() + col;
            for_each_place<Scalar>(count, [&](auto at) {
              const Lanes<Scalar> slope = load(g, at), next = average.next(load(m, at), slope);
              store(m, at, next);
              squares.add_square((average.ahead(next, slope) - load(mean, at)) - load(rest, at));
            });
          },
          streams.gradient);
      const double norm = norm_from<Scalar>(squares.sum(), [&](auto&& visit) {
        Index j = 0;
        scan_row(streams, numbers, i, 0, streams.shape().cols, [&](Scalar x) {
          visit((x - memory.mean.data()[j]) - memory.mean_rest.data()[j]);
          ++j;
        });
      });
      const NormFactors<Scalar> factors(norm, eps, 1.0);
      memory.scale.data()[i] = factors.scale;
      memory.factor.data()[i] = factors.factor;
      const Lanes<Scalar> scale(factors.scale);
      const Lanes<double> factor(static_cast<double>(factors.factor));
      // This pass finds its row in the cache: meanwhile the next one is on its way.
      const Scalar* own = streams.momentum.row(i);
      const Scalar* next_momentum = i + 1 < last ? streams.momentum.row(i + 1) : own;
      const Scalar* ahead = i + 1 < last ? streams.gradient.row_ahead(i + 1) : nullptr;
      const Scalar* next_gradient = ahead != nullptr ? ahead : own;
      for_each_centred(streams, average, memory, i, [&](auto at, Index col, Lanes<Scalar> x) {
        __builtin_prefetch(next_momentum + col + at.j);
        __builtin_prefetch(next_gradient + col + at.j);
        add_multiple_to(line + col, at, factor, x * scale);
      });
    }
  }

  /// W <- W - decay W - length * (normalized - mean) with the mean row, and that of the decay, in `shift`.
  template <class Scalar>
  static void move(const Streams<Scalar>& streams, const StepNumbers& numbers, auto& memory) {
    using L = Lanes<Scalar>;
    const Average<Scalar> average(numbers);
    const L keep(static_cast<Scalar>(1.0 - numbers.decay));
    const Scalar* shift = memory.shift.data();
    for_each_piece(pieces_of(streams.shape()), [&](Index first, Index last) {
      for (Index i = first; i < last; ++i) {
        const L scale(memory.scale.data()[i]);
        const L minus_length(
            static_cast<Scalar>(-numbers.length * static_cast<double>(memory.factor.data()[i])));
        for_each_stretch(
            0, streams.shape().cols,
            [&](Index col, Index count) {
              const GradientWindow<Scalar> gradient(streams.gradient, i, col, average.nesterov ? count : 0);
              const WeightsWindow<Scalar> weights(streams.weights, i, col, count);
              Scalar* w = weights.data();
              const Scalar* g = gradient.data();
              const Scalar* m = streams.momentum.row(i) + col;
              const Scalar *mean = memory.mean.data() + col, *rest = memory.mean_rest.data() + col;
              for_each_place<Scalar>(count, [&](auto at) {
                L x = load(m, at);
                if (average.nesterov) x = average.ahead(x, load(g, at));
                x = ((x - load(mean, at)) - load(rest, at)) * scale;
                store(w, at,
                      multiply_add(minus_length, x, multiply_add(keep, load(w, at), load(shift + col, at))));
              });
            },
            streams.gradient, streams.weights);
      }
    });
  }
};

}  // namespace symopt::kernel
