// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/kernel/column_sums.hpp>
#include <symopt/kernel/row_steps.hpp>

namespace symopt::inline SYMOPT_ABI::kernel {

/// P RowNorm P with P = I - 1 1^T / rows: the mean row subtracted before and after the rows are normalized.
/// Three sweeps, of seven streams together: one reads the gradient for its mean row and checks, one advances
/// the momentum and adds up the normalized rows, one moves the weights and adds up the momentum for the next
/// step. The first step and one after loading read the momentum once more, and so does horizontal decay the
/// weights. Means and sums of squares in double: relative errors of at most rows * 2^-53 and cols * 2^-53.
/// The mean row is that of the momentum before its entries are rounded: half a unit in their last place away
/// from that of the stored ones, at most.
struct CentredRowNormStep {
  double eps;

  /// Streams::momentum_sums are used, of as many columns as the block.
  static constexpr bool keeps_momentum_sums = true;

  template <class Scalar>
  struct Memory {
    Memory(Shape shape, StepNeeds needs)
        : sums(shape),
          weight_sums(needs.decay_is_horizontal ? shape : Shape{}),
          momentum_sums(shape.cols),
          mean(padded(shape.cols)),
          mean_rest(mean.size()),
          shift(mean.size()),
          scale(shape.rows),
          factor(shape.rows) {}

    ColumnSums sums, weight_sums;
    MomentumSums momentum_sums;      ///< where nobody keeps them
    Buffer<Scalar> mean, mean_rest;  ///< the mean row: rounded, and what rounding took
    Buffer<Scalar> shift;            ///< what is added to every row of the weights
    Buffer<Scalar> scale, factor;    ///< of each row
  };

  template <class Scalar>
  bool run(const Streams<Scalar>& streams, const StepNumbers& numbers, Check check, auto& memory) const {
    const Shape shape = streams.shape();
    if (shape.rows == 0 || shape.cols == 0) return true;
    const double rows = static_cast<double>(shape.rows);

    MomentumSums& momentum_sums = kept(streams, memory);
    if (!momentum_sums.are_known())
      momentum_sums.set(
          memory.sums.over(shape, [&](Index first, Index last,
                                      double* line) { add_momentum(streams.momentum, first, last, line); }),
          shape.cols);
    std::atomic<bool> finite = true;
    const double* sums = memory.sums.over(shape, [&](Index first, Index last, double* line) {
      if (!add_gradient(streams, first, last, line)) finite.store(false, std::memory_order_relaxed);
    });
    if (check == Check::gradient && !finite) return false;
    set_mean<Scalar>(numbers, momentum_sums.data(), sums, shape, memory);

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
    sums = memory.sums.over(shape, [&](Index first, Index last, double* line) {
      move(streams, numbers, memory, first, last, line);
    });
    momentum_sums.set(sums, shape.cols);
    return true;
  }

 private:
  template <class Scalar>
  static MomentumSums& kept(const Streams<Scalar>& streams, auto& memory) {
    if (streams.momentum_sums != nullptr) return *streams.momentum_sums;
    memory.momentum_sums.forget();
    return memory.momentum_sums;
  }

  template <class Scalar>
  static void add_momentum(const BlockView<Scalar>& momentum, Index first, Index last, double* line) {
    for (Index i = first; i < last; ++i) {
      const Scalar* m = momentum.row(i);
      for_each_place<Scalar>(momentum.cols.size, [&](auto at) { add_to(line, at, load(m, at)); });
    }
  }

  /// Returns whether the gradient is finite.
  template <class Scalar>
  static bool add_gradient(const Streams<Scalar>& streams, Index first, Index last, double* line) {
    typename Lanes<Scalar>::BitVector found{};
    for (Index i = first; i < last; ++i)
      for_each_stretch(
          0, streams.shape().cols,
          [&](Index col, Index count) {
            const GradientWindow<Scalar> gradient(streams.gradient, i, col, count);
            const Scalar* g = gradient.data();
            auto found_here = found;  // in registers: what is written to the line cannot be it
            for_each_place<Scalar>(count, [&](auto at) {
              fetch_ahead(g, at);
              const Lanes<Scalar> slope = load(g, at);
              found_here |= non_finite_bits(slope);
              add_to(line + col, at, slope);
            });
            found = found_here;
          },
          streams.gradient);
    return !has_top_bit<Scalar>(found);
  }

  /// The mean row of what the rule is given, from the sums of momentum and gradient.
  template <class Scalar>
  static void set_mean(const StepNumbers& numbers, const double* momentum, const double* gradient,
                       Shape shape, auto& memory) {
    // As the sweeps round them.
    const double keep = static_cast<double>(static_cast<Scalar>(numbers.keep));
    const double add = static_cast<double>(static_cast<Scalar>(numbers.add));
    for (Index j = 0; j < shape.cols; ++j) {
      double sum = keep * momentum[j] + add * gradient[j];
      if (numbers.nesterov) sum = keep * sum + add * gradient[j];
      const double mean = sum / static_cast<double>(shape.rows);
      memory.mean.data()[j] = static_cast<Scalar>(mean);
      memory.mean_rest.data()[j] = static_cast<Scalar>(mean - static_cast<double>(memory.mean.data()[j]));
    }
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
              fetch_ahead(g, at);
              fetch_ahead(m, at);
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
  /// Adds up the momentum.
  template <class Scalar>
  static void move(const Streams<Scalar>& streams, const StepNumbers& numbers, auto& memory, Index first,
                   Index last, double* line) {
    using L = Lanes<Scalar>;
    const Average<Scalar> average(numbers);
    const L keep(static_cast<Scalar>(1.0 - numbers.decay));
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
            const Scalar* shift = memory.shift.data() + col;
            double* sums = line + col;
            for_each_place<Scalar>(count, [&](auto at) {
              fetch_ahead(m, at);
              fetch_ahead(w, at);
              L x = load(m, at);
              add_to(sums, at, x);
              if (average.nesterov) x = average.ahead(x, load(g, at));
              x = ((x - load(mean, at)) - load(rest, at)) * scale;
              store(w, at, multiply_add(minus_length, x, multiply_add(keep, load(w, at), load(shift, at))));
            });
          },
          streams.gradient, streams.weights);
    }
  }
};

}  // namespace symopt::kernel
