// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/kernel/all_finite.hpp>
#include <symopt/kernel/column_sums.hpp>
#include <symopt/kernel/norm_factors.hpp>
#include <symopt/kernel/step.hpp>

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
  Eps eps;

  /// Streams::momentum_sums are used, of as many columns as the block.
  static constexpr bool keeps_momentum_sums = true;

  template <class Scalar>
  struct Memory {
    Memory(Shape shape, ScratchOptions options)
        : sums(shape),
          weight_sums(options.decay_is_horizontal ? shape : Shape{}),
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

  template <class Scalar, class Reduction = NoReduction>
  bool run(const Streams<Scalar>& streams, const StepCoefficients& coefficients, Check check, auto& memory,
           const Reduction& reduction = {}) const {
    const Shape shape = streams.shape(), whole = reduction.whole(shape);
    if (whole.rows == 0 || whole.cols == 0) return true;

    MomentumSums& momentum_sums = kept(streams, memory);
    if (!momentum_sums.is_valid())
      momentum_sums.set(summed_rows<Scalar>(streams.momentum, shape, memory.sums, reduction), shape.cols);
    std::atomic<bool> passes = true;
    const auto add = [&](Range rows, double* line) {
      if (!add_gradient(streams, rows, line)) passes.store(false, std::memory_order_relaxed);
    };
    const double* sums = memory.sums.over(shape, add, reduction);
    if (check == Check::gradient && !passes) return false;
    set_mean<Scalar>(coefficients, momentum_sums.data(), sums, whole, memory);

    const auto add_normalized_rows = [&](Range rows, double* line) {
      normalize(streams, coefficients, memory, rows, line);
    };
    sums = memory.sums.over(shape, add_normalized_rows, reduction);
    set_shift(streams, coefficients, sums, memory, reduction);

    const auto add_moved = [&](Range rows, double* line) { move(streams, coefficients, memory, rows, line); };
    sums = memory.sums.over(shape, add_moved, reduction);
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
  static const double* summed_rows(const auto& block, Shape shape, ColumnSums& sums, const auto& reduction) {
    const auto add = [&](Range rows, double* line) {
      sweep(
          rows, {0, shape.cols},
          [](Lanes<Scalar> x, DoubleLanes<Scalar>& sum) SYMOPT_INLINE_LAMBDA { sum.add(x); }, in(block),
          column_sums(line));
    };
    return sums.over(shape, add, reduction);
  }

  /// Returns whether the gradient passes a check.
  template <class Scalar>
  static bool add_gradient(const Streams<Scalar>& streams, Range rows, double* line) {
    LargeMarks<Scalar> marks(streams.gradient_exponent);
    const auto body = [](Lanes<Scalar> g, LargeMarks<Scalar>& found, DoubleLanes<Scalar>& sum)
                          SYMOPT_INLINE_LAMBDA {
                            found.add(g);
                            sum.add(g);
                          };
    // Rows of a group share the loads and stores of the sums; memory beyond the caches is slower than these,
    // and gives rows one by one best.
    constexpr Index largest_for_groups = Index{16} * 1024 * 1024;
    const Shape shape = streams.shape();
    if (shape.rows * shape.cols * static_cast<Index>(sizeof(Scalar)) <= largest_for_groups) {
      sweep<4>(rows, streams.columns(), body, in<Fetch::next_rows>(streams.gradient), accumulate(marks),
               column_sums(line));
    } else {
      sweep(rows, streams.columns(), body, in<Fetch::close>(streams.gradient), accumulate(marks),
            column_sums(line));
    }
    return !marks.any();
  }

  /// The mean row of the momentum that the rule is given, from the sums of momentum and gradient.
  template <class Scalar>
  static void set_mean(const StepCoefficients& coefficients, const double* momentum, const double* gradient,
                       Shape shape, auto& memory) {
    // As the sweeps round them.
    const double beta = static_cast<double>(static_cast<Scalar>(coefficients.beta));
    const double weight = static_cast<double>(static_cast<Scalar>(coefficients.weight_of_stored_gradient()));
    for (Index j = 0; j < shape.cols; ++j) {
      double sum = beta * momentum[j] + weight * gradient[j];
      if (coefficients.nesterov) sum = beta * sum + weight * gradient[j];
      const double mean = sum / static_cast<double>(shape.rows);
      memory.mean.data()[j] = static_cast<Scalar>(mean);
      memory.mean_rest.data()[j] = static_cast<Scalar>(mean - static_cast<double>(memory.mean.data()[j]));
    }
  }

  /// Advances the momentum, finds the rows' factors and adds up the normalized rows: those of a group in
  /// Scalar, the sums of groups in double.
  template <class Scalar>
  void normalize(const Streams<Scalar>& streams, const StepCoefficients& coefficients, auto& memory,
                 Range rows, double* line) const {
    constexpr int most = 8;
    constexpr Index cache = Index{256} * 1024;  // from which a group is read once more
    const bool fits = most * streams.shape().cols * static_cast<Index>(sizeof(Scalar)) <= cache;
    const Average<Scalar> average(coefficients);
    Range group = rows;
    for (; group.begin < rows.end; group.begin = group.end) {
      group.end = std::min(rows.end, group.begin + (fits ? most : 1));
      bool is_scaled = false;
      for (Index i = group.begin; i < group.end; ++i) {
        const NormFactors<Scalar> factors(advance(streams, coefficients, memory, i), eps, 1.0);
        memory.scale.data()[i] = factors.scale;
        memory.factor.data()[i] = factors.factor;
        is_scaled |= factors.scale != Scalar(1);
      }
      if (is_scaled) {
        add_normalized<1>(streams, average, memory, group, line, lanes_of_row(memory.scale.data()));
      } else {
        add_normalized<most>(streams, average, memory, group, line);
      }
    }
  }

  /// The momentum of a row advances; returns the norm of what the rule is given there, centred.
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
          m = average.next(m, g);
          sum.add_square((average.nesterov_momentum(m, g) - mean_here) - rest_here);
        },
        in<Fetch::distant>(streams.gradient), inout<Fetch::distant>(streams.momentum), per_column(mean),
        per_column(rest), accumulate(squares));
    return norm_from<Scalar>(squares.sum(), [&](auto&& visit) {
      Index j = 0;
      scan_row(streams, coefficients, row, streams.columns(), [&](Scalar x) {
        visit((x - mean[j]) - rest[j]);
        ++j;
      });
    });
  }

  template <class Scalar>
  static auto lanes_of_row(const Scalar* values) {
    return per_row([values](Index row) SYMOPT_INLINE_LAMBDA { return Lanes<Scalar>(values[row]); });
  }

  /// Adds rows whose momentum has advanced, and which are in the cache, normalized; `scales` where any scale
  /// is not 1.
  template <int side_by_side, class Scalar>
  static void add_normalized(const Streams<Scalar>& streams, Average<Scalar> average, auto& memory,
                             Range rows, double* line, auto... scales) {
    using L = Lanes<Scalar>;
    const Scalar *mean = memory.mean.data(), *rest = memory.mean_rest.data();
    sweep<side_by_side>(
        rows, streams.columns(),
        [=](OptionalLanes<Scalar> g, L m, L mean_here, L rest_here, L factor, L& sum, auto... scale)
            SYMOPT_INLINE_LAMBDA {
              const L centred = (average.nesterov_momentum(m, g) - mean_here) - rest_here;
              sum = multiply_add(factor, (centred * ... * scale), sum);
            },
        in_if(average.nesterov, streams.gradient), in(streams.momentum), per_column(mean), per_column(rest),
        lanes_of_row<Scalar>(memory.factor.data()), group_sums(line), scales...);
  }

  /// Sets the row that is added to every row of the weights: the mean of the normalized rows, from their
  /// sums, and that of the decay.
  template <class Scalar>
  static void set_shift(const Streams<Scalar>& streams, const StepCoefficients& coefficients,
                        const double* normalized_sums, auto& memory, const auto& reduction) {
    const Shape shape = streams.shape();
    const double rows = static_cast<double>(reduction.whole(shape).rows);
    Scalar* shift = memory.shift.data();
    for (Index j = 0; j < shape.cols; ++j)
      shift[j] = static_cast<Scalar>(coefficients.step_size * (normalized_sums[j] / rows));
    if (coefficients.decay == 0 || !coefficients.decay_is_horizontal) return;
    const double* sums = summed_rows<Scalar>(streams.weights, shape, memory.weight_sums, reduction);
    for (Index j = 0; j < shape.cols; ++j)
      shift[j] = static_cast<Scalar>(static_cast<double>(shift[j]) + coefficients.decay * (sums[j] / rows));
  }

  /// W <- W - decay W - step_size * (normalized - mean) with the mean row, and that of the decay, in `shift`.
  /// Adds up the momentum.
  template <class Scalar>
  static void move(const Streams<Scalar>& streams, const StepCoefficients& coefficients, auto& memory,
                   Range rows, double* line) {
    using L = Lanes<Scalar>;
    const Average<Scalar> average(coefficients);
    const L keep(static_cast<Scalar>(1.0 - coefficients.decay));
    const Scalar *mean = memory.mean.data(), *rest = memory.mean_rest.data(), *shift = memory.shift.data();
    const auto minus_factor = [step_size = coefficients.step_size,
                               factor = memory.factor.data()](Index row) SYMOPT_INLINE_LAMBDA {
      return L(static_cast<Scalar>(-step_size * static_cast<double>(factor[row])));
    };
    const auto body = [=](OptionalLanes<Scalar> g, L m, L& w, L mean_here, L rest_here, L shift_here, L scale,
                          L factor, DoubleLanes<Scalar>& sum) SYMOPT_INLINE_LAMBDA {
      sum.add(m);
      const L x = ((average.nesterov_momentum(m, g) - mean_here) - rest_here) * scale;
      w = multiply_add(factor, x, multiply_add(keep, w, shift_here));
    };
    const auto sweep_in_groups_of = [&](auto size) {
      sweep<size>(rows, streams.columns(), body, in_if(average.nesterov, streams.gradient),
                  in<Fetch::next_rows>(streams.momentum), inout<Fetch::next_rows>(streams.weights),
                  per_column(mean), per_column(rest), per_column(shift),
                  lanes_of_row<Scalar>(memory.scale.data()), per_row(minus_factor), column_sums(line));
    };
    // Rows a multiple of a page apart fall on the same lines of the first cache, which has room for few.
    constexpr Index page = 4096 / static_cast<Index>(sizeof(Scalar));
    if (streams.momentum.rows.stride % page == 0 || streams.weights.row_stride() % page == 0) {
      sweep_in_groups_of(std::integral_constant<int, 2>{});
    } else {
      sweep_in_groups_of(std::integral_constant<int, 4>{});
    }
  }
};

}}}  // namespace symopt::kernel
