// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/kernel/adaptive.hpp>
#include <symopt/kernel/column_sums.hpp>

#include <atomic>

namespace symopt { inline namespace SYMOPT_ABI { namespace kernel {

/// One second moment for each row, the mean row subtracted from the gradient and from the direction: P = I -
/// 1 1^T / rows before and after. Three sweeps, of seven streams together: one reads the gradient for its
/// mean row and checks, one advances the momentum and adds up the rows of the direction, one moves the
/// weights; horizontal decay reads the weights once more. Rounding as in CentredRowNormStep.
struct CentredAdaptiveRowsStep {
  template <class Scalar>
  struct Memory {
    Memory(Shape shape, ScratchOptions options)
        : sums(shape),
          weight_sums(options.decay_is_horizontal ? shape : Shape{}),
          mean(padded(shape.cols)),
          mean_rest(mean.size()),
          shift(mean.size()),
          scale(shape.rows),
          factor(shape.rows) {}

    ColumnSums sums, weight_sums;
    Buffer<Scalar> mean, mean_rest;  ///< the gradient's mean row: rounded, and what rounding took
    Buffer<Scalar> shift;            ///< what is added to every row of the weights
    Buffer<Scalar> scale, factor;    ///< of each row
  };

  template <class Scalar, class Reduction = NoReduction>
  static bool run(const Streams<Scalar>& streams, double* roots, const StepCoefficients& coefficients,
                  const AdamWCoefficients& own, Check check, auto& memory, const Reduction& reduction = {}) {
    const Shape shape = streams.shape(), whole = reduction.whole(shape);
    if (whole.rows == 0 || whole.cols == 0) return true;
    std::atomic<bool> passes = true;
    const auto add = [&](Range rows, double* line) {
      if (!add_gradient(streams, rows, line)) passes.store(false, std::memory_order_relaxed);
    };
    const double* sums = memory.sums.over(shape, add, reduction);
    if (check == Check::gradient && !passes) return false;
    for (Index j = 0; j < shape.cols; ++j) {
      const double mean = sums[j] / static_cast<double>(whole.rows);
      memory.mean.data()[j] = static_cast<Scalar>(mean);
      memory.mean_rest.data()[j] = static_cast<Scalar>(mean - static_cast<double>(memory.mean.data()[j]));
    }

    const auto add_rule = [&](Range rows, double* line) {
      add_directions(streams, roots, coefficients, own, memory, rows, line);
    };
    sums = memory.sums.over(shape, add_rule, reduction);
    set_shift(streams, coefficients, sums, memory, reduction);
    for_each_chunk(chunks_of(shape), [&](Range rows) { move(streams, coefficients, memory, rows); });
    return true;
  }

 private:
  /// Returns whether the gradient passes a check.
  template <class Scalar>
  static bool add_gradient(const Streams<Scalar>& streams, Range rows, double* line) {
    LargeMarks<Scalar> marks(streams.gradient_exponent);
    sweep(
        rows, streams.columns(),
        [](Lanes<Scalar> g, LargeMarks<Scalar>& found, DoubleLanes<Scalar>& sum) SYMOPT_INLINE_LAMBDA {
          found.add(g);
          sum.add(g);
        },
        in<Fetch::close>(streams.gradient), accumulate(marks), column_sums(line));
    return !marks.any();
  }

  /// Advances momentum and roots, finds the rows' factors and adds up the rows of the direction: those of a
  /// group in Scalar, the sums of groups in double.
  template <class Scalar>
  static void add_directions(const Streams<Scalar>& streams, double* roots,
                             const StepCoefficients& coefficients, const AdamWCoefficients& own, auto& memory,
                             Range rows, double* line) {
    constexpr int most = 8;
    constexpr Index cache = Index{256} * 1024;  // from which a group is read once more
    const Index cols = streams.shape().cols;
    const bool fits = most * cols * static_cast<Index>(sizeof(Scalar)) <= cache;
    Range group = rows;
    for (; group.begin < rows.end; group.begin = group.end) {
      group.end = std::min(rows.end, group.begin + (fits ? most : 1));
      bool is_scaled = false;
      for (Index i = group.begin; i < group.end; ++i) {
        const Norm norm = advance(streams, coefficients, memory, i);
        roots[i] = next_root(roots[i], root_mean_square(norm, cols, coefficients), own);
        const auto factors = factors_of_root<Scalar>(roots[i], own, 1.0);
        memory.scale.data()[i] = factors.scale;
        memory.factor.data()[i] = factors.factor;
        is_scaled |= factors.scale != Scalar(1);
      }
      if (is_scaled) {
        add_rows<1>(streams, memory, group, line, lanes_of_row(memory.scale.data()));
      } else {
        add_rows<most>(streams, memory, group, line);
      }
    }
  }

  /// The momentum of a row advances; returns the norm of the centred gradient there.
  template <class Scalar>
  static Norm advance(const Streams<Scalar>& streams, const StepCoefficients& coefficients, auto& memory,
                      Index row) {
    using L = Lanes<Scalar>;
    const Average<Scalar> average(coefficients);
    const Scalar *mean = memory.mean.data(), *rest = memory.mean_rest.data();
    DoubleLanes<Scalar> squares;
    sweep(
        {row, row + 1}, streams.columns(),
        [=](L g, L& m, L mean_here, L rest_here, DoubleLanes<Scalar>& sum) SYMOPT_INLINE_LAMBDA {
          const L centred = (g - mean_here) - rest_here;
          m = average.next(m, centred);
          sum.add_square(centred);
        },
        in<Fetch::distant>(streams.gradient), inout<Fetch::distant>(streams.momentum), per_column(mean),
        per_column(rest), accumulate(squares));
    return norm_from<Scalar>(squares.sum(), [&](auto&& visit) {
      for (Index j = 0; j < streams.shape().cols; ++j)
        visit((streams.gradient.at(row, j) - mean[j]) - rest[j]);
    });
  }

  template <class Scalar>
  static auto lanes_of_row(const Scalar* values) {
    return per_row([values](Index row) SYMOPT_INLINE_LAMBDA { return Lanes<Scalar>(values[row]); });
  }

  /// Adds rows of the direction, whose momentum has advanced, and which are in the cache; `scales` where any
  /// scale is not 1.
  template <int side_by_side, class Scalar>
  static void add_rows(const Streams<Scalar>& streams, auto& memory, Range rows, double* line,
                       auto... scales) {
    using L = Lanes<Scalar>;
    sweep<side_by_side>(
        rows, streams.columns(),
        [=](L m, L factor, L& sum, auto... scale)
            SYMOPT_INLINE_LAMBDA { sum = multiply_add(factor, (m * ... * scale), sum); },
        in(streams.momentum), lanes_of_row<Scalar>(memory.factor.data()), group_sums(line), scales...);
  }

  /// Sets the row that is added to every row of the weights: the mean row of the direction, from its sums,
  /// and that of the decay.
  template <class Scalar>
  static void set_shift(const Streams<Scalar>& streams, const StepCoefficients& coefficients,
                        const double* direction_sums, auto& memory, const auto& reduction) {
    const Shape shape = streams.shape();
    const double rows = static_cast<double>(reduction.whole(shape).rows);
    Scalar* shift = memory.shift.data();
    for (Index j = 0; j < shape.cols; ++j)
      shift[j] = static_cast<Scalar>(coefficients.step_size * (direction_sums[j] / rows));
    if (coefficients.decay == 0 || !coefficients.decay_is_horizontal) return;
    const auto add = [&](Range of_rows, double* line) {
      sweep(
          of_rows, streams.columns(),
          [](Lanes<Scalar> w, DoubleLanes<Scalar>& sum) SYMOPT_INLINE_LAMBDA { sum.add(w); },
          in(streams.weights), column_sums(line));
    };
    const double* sums = memory.weight_sums.over(shape, add, reduction);
    for (Index j = 0; j < shape.cols; ++j)
      shift[j] = static_cast<Scalar>(static_cast<double>(shift[j]) + coefficients.decay * (sums[j] / rows));
  }

  /// W <- W - decay W - step_size * direction, with the mean rows of direction and decay in `shift`.
  template <class Scalar>
  static void move(const Streams<Scalar>& streams, const StepCoefficients& coefficients, auto& memory,
                   Range rows) {
    using L = Lanes<Scalar>;
    const L keep(static_cast<Scalar>(1.0 - coefficients.decay));
    const auto minus_factor = [step_size = coefficients.step_size,
                               factor = memory.factor.data()](Index row) SYMOPT_INLINE_LAMBDA {
      return L(static_cast<Scalar>(-step_size * static_cast<double>(factor[row])));
    };
    sweep(
        rows, streams.columns(),
        [=](L m, L& w, L shift, L scale, L factor)
            SYMOPT_INLINE_LAMBDA { w = multiply_add(factor, m * scale, multiply_add(keep, w, shift)); },
        in<Fetch::close>(streams.momentum), inout<Fetch::close>(streams.weights),
        per_column<Scalar>(memory.shift.data()), lanes_of_row<Scalar>(memory.scale.data()),
        per_row(minus_factor));
  }
};

}}}  // namespace symopt::kernel
