// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/kernel/column_sums.hpp>
#include <symopt/kernel/row_steps.hpp>

namespace symopt { inline namespace SYMOPT_ABI { namespace kernel {

/// P RowNorm P with P = I - 1 1^T / rows: the mean row subtracted before and after the rows are normalized.
/// Three sweeps, of seven streams together: one reads the gradient for its mean row and checks, one advances
/// the momentum and adds up the normalized rows, one moves the weights and adds up the momentum for the next
/// step. The first step and one after loading read the momentum once more, and so does horizontal decay the
/// weights. Sums of squares and the mean row before in double: relative errors of at most cols * 2^-53 and
/// rows * 2^-53. That mean row is the one of the momentum before its entries are rounded: half a unit in
/// their last place away from that of the stored ones, at most. The mean row after adds up eight normalized
/// rows at a time in Scalar: an error of eight roundoffs of the mean size of a column's normalized entries,
/// at most.
struct CentredRowNormStep {
  double eps;

  /// Streams::momentum_sums are used, of as many columns as the block.
  static constexpr bool keeps_momentum_sums = true;

  template <class Scalar>
  struct Memory {
    Memory(Shape shape, ScratchOptions needs)
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
  bool run(const Streams<Scalar>& streams, const StepCoefficients& coefficients, Check check, auto& memory) const {
    const Shape shape = streams.shape();
    if (shape.rows == 0 || shape.cols == 0) return true;
    const double rows = static_cast<double>(shape.rows);

    MomentumSums& momentum_sums = kept(streams, memory);
    if (!momentum_sums.is_valid())
      momentum_sums.set(
          memory.sums.over(shape, [&](Index first, Index last,
                                      double* line) { add_momentum(streams.momentum, first, last, line); }),
          shape.cols);
    std::atomic<bool> finite = true;
    const double* sums = memory.sums.over(shape, [&](Index first, Index last, double* line) {
      if (!add_gradient(streams, first, last, line)) finite.store(false, std::memory_order_relaxed);
    });
    if (check == Check::gradient && !finite) return false;
    set_mean<Scalar>(coefficients, momentum_sums.data(), sums, shape, memory);

    sums = memory.sums.over(shape, [&](Index first, Index last, double* line) {
      normalize(streams, coefficients, memory, first, last, line);
    });
    for (Index j = 0; j < shape.cols; ++j)
      memory.shift.data()[j] = static_cast<Scalar>(coefficients.step_size * (sums[j] / rows));
    if (coefficients.decay != 0 && coefficients.decay_is_horizontal) {
      sums = memory.weight_sums.over(
          shape, [&](Index first, Index last, double* line) { add_weights(streams, first, last, line); });
      for (Index j = 0; j < shape.cols; ++j)
        memory.shift.data()[j] = static_cast<Scalar>(static_cast<double>(memory.shift.data()[j]) +
                                                     coefficients.decay * (sums[j] / rows));
    }
    sums = memory.sums.over(shape, [&](Index first, Index last, double* line) {
      move(streams, coefficients, memory, first, last, line);
    });
    momentum_sums.set(sums, shape.cols);
    return true;
  }

 private:
  template <class Scalar>
  static MomentumSums& kept(const Streams<Scalar>& streams, auto& memory) {
    if (streams.momentum_sums != nullptr) return *streams.momentum_sums;
    memory.momentum_sums.invalidate();
    return memory.momentum_sums;
  }

  template <class Scalar>
  static void add_momentum(const BlockView<Scalar>& momentum, Index first, Index last, double* line) {
    for (Index i = first; i < last; ++i) {
      const Scalar* m = momentum.row(i);
      for_each_place<Scalar>(momentum.cols.size,
                             [&](auto at) SYMOPT_INLINE_LAMBDA { add_to(line, at, load(m, at)); });
    }
  }

  /// Returns whether the gradient is finite.
  template <class Scalar>
  static bool add_gradient(const Streams<Scalar>& streams, Index first, Index last, double* line) {
    typename Lanes<Scalar>::BitVector found{};
    for (Index i = first; i < last; ++i)
      for_each_stretch(
          0, streams.shape().cols,
          [&](Index col, Index count) SYMOPT_INLINE_LAMBDA {
            const GradientWindow<Scalar> gradient(streams.gradient, i, col, count);
            const Scalar* g = gradient.data();
            auto found_here = found;  // in registers: what is written to the line cannot be it
            for_each_place<Scalar>(count, [&](auto at) SYMOPT_INLINE_LAMBDA {
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
  static void set_mean(const StepCoefficients& coefficients, const double* momentum, const double* gradient,
                       Shape shape, auto& memory) {
    // As the sweeps round them.
    const double keep = static_cast<double>(static_cast<Scalar>(coefficients.beta));
    const double add = static_cast<double>(static_cast<Scalar>(coefficients.weight_of_gradient()));
    for (Index j = 0; j < shape.cols; ++j) {
      double sum = keep * momentum[j] + add * gradient[j];
      if (coefficients.nesterov) sum = keep * sum + add * gradient[j];
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
          [&](Index col, Index count) SYMOPT_INLINE_LAMBDA {
            const WeightsWindow<Scalar> weights(streams.weights, i, col, count, false);
            const Scalar* w = weights.data();
            for_each_place<Scalar>(
                count, [&](auto at) SYMOPT_INLINE_LAMBDA { add_to(line + col, at, load(w, at)); });
          },
          streams.weights);
  }

  /// Advances the momentum, finds the rows' factors and adds up the normalized rows: those of a group in
  /// Scalar, the sums of groups in double.
  template <class Scalar>
  void normalize(const Streams<Scalar>& streams, const StepCoefficients& coefficients, auto& memory, Index first,
                 Index last, double* line) const {
    const Average<Scalar> average(coefficients);
    const auto normalize_these = [&](auto rows, Index i) {
      bool is_scaled = false;
      for (int r = 0; r < rows; ++r) {
        const DoubleLanes<Scalar> squares = advance_centred(streams, average, memory, i + r);
        const double norm = norm_from<Scalar>(squares.sum(), [&](auto&& visit) {
          Index j = 0;
          scan_row(streams, coefficients, i + r, 0, streams.shape().cols, [&](Scalar x) {
            visit((x - memory.mean.data()[j]) - memory.mean_rest.data()[j]);
            ++j;
          });
        });
        const NormFactors<Scalar> factors(norm, eps, 1.0);
        memory.scale.data()[i + r] = factors.scale;
        memory.factor.data()[i + r] = factors.factor;
        is_scaled |= factors.scale != Scalar(1);
      }
      if (is_scaled) {
        for (int r = 0; r < rows; ++r) add_normalized<1, true>(streams, average, memory, i + r, line);
      } else {
        add_normalized<rows, false>(streams, average, memory, i, line);
      }
    };
    constexpr int most = 8;
    constexpr Index cache = 256 * 1024;  // from which a group is read once more
    if (most * streams.shape().cols * static_cast<Index>(sizeof(Scalar)) <= cache) {
      for_each_row_group<most>(first, last, normalize_these);
    } else {
      for_each_row_group<1>(first, last, normalize_these);
    }
  }

  /// The momentum of a row advances; returns the sums of squares of what the rule sees there, centred.
  template <class Scalar>
  static DoubleLanes<Scalar> advance_centred(const Streams<Scalar>& streams, Average<Scalar> average,
                                             auto& memory, Index row) {
    DoubleLanes<Scalar> squares;
    for_each_stretch(
        0, streams.shape().cols,
        [&](Index col, Index count) SYMOPT_INLINE_LAMBDA {
          const GradientWindow<Scalar> gradient(streams.gradient, row, col, count);
          const Scalar* g = gradient.data();
          Scalar* m = streams.momentum.row(row) + col;
          const Scalar *mean = memory.mean.data() + col, *rest = memory.mean_rest.data() + col;
          DoubleLanes<Scalar> sums = squares;  // local, so that it stays in registers across the stores
          for_each_place<Scalar>(count, [&](auto at) SYMOPT_INLINE_LAMBDA {
            fetch_ahead(g, at);
            fetch_ahead(m, at);
            fetch_far_ahead(g, at);
            fetch_far_ahead(m, at);
            const Lanes<Scalar> slope = load(g, at), next = average.next(load(m, at), slope);
            store(m, at, next);
            sums.add_square((average.ahead(next, slope) - load(mean, at)) - load(rest, at));
          });
          squares = sums;
        },
        streams.gradient);
    return squares;
  }

  /// Adds rows whose momentum has advanced, and which are in the cache, normalized.
  template <int rows, bool is_scaled, class Scalar>
  static void add_normalized(const Streams<Scalar>& streams, Average<Scalar> average, auto& memory, Index row,
                             double* line) {
    using L = Lanes<Scalar>;
    L scale[rows], factor[rows];
    for (int r = 0; r < rows; ++r) {
      scale[r] = L(memory.scale.data()[row + r]);
      factor[r] = L(memory.factor.data()[row + r]);
    }
    for_each_stretch(
        0, streams.shape().cols,
        [&](Index col, Index count) SYMOPT_INLINE_LAMBDA {
          const RowWindows<GradientWindow<Scalar>, rows> gradient(streams.gradient, row, col,
                                                                  average.nesterov ? count : 0);
          const Scalar *g[rows], *m[rows];
          for (int r = 0; r < rows; ++r) {
            g[r] = gradient[r];
            m[r] = streams.momentum.row(row + r) + col;
          }
          const Scalar *mean = memory.mean.data() + col, *rest = memory.mean_rest.data() + col;
          for_each_place<Scalar>(count, [&](auto at) SYMOPT_INLINE_LAMBDA {
            const L mean_here = load(mean, at), rest_here = load(rest, at);
            L sum(Scalar(0));
#pragma GCC unroll 8
            for (int r = 0; r < rows; ++r) {
              L x = load(m[r], at);
              if (average.nesterov) x = average.ahead(x, load(g[r], at));
              x = (x - mean_here) - rest_here;
              if constexpr (is_scaled) x = x * scale[r];
              sum = multiply_add(factor[r], x, sum);
            }
            add_to(line + col, at, sum);
          });
        },
        streams.gradient);
  }

  /// W <- W - decay W - length * (normalized - mean) with the mean row, and that of the decay, in `shift`.
  /// Adds up the momentum.
  template <class Scalar>
  static void move(const Streams<Scalar>& streams, const StepCoefficients& coefficients, auto& memory, Index first,
                   Index last, double* line) {
    const auto move_these = [&](auto rows, Index i) {
      move_rows<rows>(streams, coefficients, memory, i, i + 2 * rows <= last ? i + rows : i, line);
    };
    // Rows a multiple of a page apart fall on the same lines of the first cache, which has room for few.
    constexpr Index page = 4096 / static_cast<Index>(sizeof(Scalar));
    if (streams.momentum.rows.stride % page == 0 || streams.weights.row_stride() % page == 0) {
      for_each_row_group<2>(first, last, move_these);
    } else {
      for_each_row_group<4>(first, last, move_these);
    }
  }

  /// Moves rows side by side, and asks for as many from `next_row` on.
  template <int rows, class Scalar>
  static void move_rows(const Streams<Scalar>& streams, const StepCoefficients& coefficients, auto& memory, Index row,
                        Index next_row, double* line) {
    using L = Lanes<Scalar>;
    const Average<Scalar> average(coefficients);
    const L keep(static_cast<Scalar>(1.0 - coefficients.decay));
    L scale[rows], minus_length[rows];
    for (int r = 0; r < rows; ++r) {
      scale[r] = L(memory.scale.data()[row + r]);
      minus_length[r] =
          L(static_cast<Scalar>(-coefficients.step_size * static_cast<double>(memory.factor.data()[row + r])));
    }
    for_each_stretch(
        0, streams.shape().cols,
        [&](Index col, Index count) SYMOPT_INLINE_LAMBDA {
          const RowWindows<GradientWindow<Scalar>, rows> gradient(streams.gradient, row, col,
                                                                  average.nesterov ? count : 0);
          const RowWindows<WeightsWindow<Scalar>, rows> weights(streams.weights, row, col, count);
          const Scalar *g[rows], *m[rows];
          Scalar* w[rows];
          for (int r = 0; r < rows; ++r) {
            g[r] = gradient[r];
            m[r] = streams.momentum.row(row + r) + col;
            w[r] = weights[r];
          }
          const Scalar *mean = memory.mean.data() + col, *rest = memory.mean_rest.data() + col;
          const Scalar* shift = memory.shift.data() + col;
          const Index to_next_m = streams.momentum.row(next_row) - streams.momentum.row(row);
          const Index to_next_w = streams.weights.between_rows(row, next_row, col, count);
          double* sums = line + col;
          for_each_place<Scalar>(count, [&](auto at) SYMOPT_INLINE_LAMBDA {
            const L mean_here = load(mean, at), rest_here = load(rest, at), shift_here = load(shift, at);
            DoubleLanes<Scalar> momentum = DoubleLanes<Scalar>::load(sums + at.j);
#pragma GCC unroll 4
            for (int r = 0; r < rows; ++r) {
              fetch(m[r], at, to_next_m);
              fetch(w[r], at, to_next_w);
              L x = load(m[r], at);
              momentum.add(x);
              if (average.nesterov) x = average.ahead(x, load(g[r], at));
              x = ((x - mean_here) - rest_here) * scale[r];
              store(w[r], at,
                    multiply_add(minus_length[r], x, multiply_add(keep, load(w[r], at), shift_here)));
            }
            momentum.store(sums + at.j);
          });
        },
        streams.gradient, streams.weights);
  }
};

}}}  // namespace symopt::kernel
