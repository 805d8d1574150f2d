// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/kernel/column_sums.hpp>
#include <symopt/kernel/entrywise.hpp>
#include <symopt/kernel/norm_factors.hpp>

namespace symopt { inline namespace SYMOPT_ABI { namespace kernel {

/// Every column over its norm with eps, on memory that runs along rows: a sweep that advances the momentum
/// and adds up squares, and one that moves the weights. Six streams, and one more read of the gradient where
/// it is checked. A block that fits the cache is done strip by strip in one sweep. Sums of squares in double:
/// a relative error of at most rows * 2^-53 in a norm.
struct ColumnNormStep {
  Eps eps;

  template <class Scalar>
  struct Memory {
    Memory(Shape shape, ScratchOptions options)
        : sums(goes_by_strips<Scalar>(shape, options) ? Shape{} : shape),
          scale(goes_by_strips<Scalar>(shape, options) ? 0 : padded(shape.cols)),
          minus_factor(scale.size()) {}

    ColumnSums sums;
    Buffer<Scalar> scale, minus_factor;
  };

  template <class Scalar, class Reduction = NoReduction>
  bool run(const Streams<Scalar>& streams, const StepCoefficients& coefficients, Check check, auto& memory,
           const Reduction& reduction = {}) const {
    if (!passes(check, streams)) return false;
    const Shape shape = streams.shape();
    const Index width = reduction.is_split() ? 0 : strip_width<Scalar>(shape);
    if (width > 0) {
      parallel_sweep((shape.cols + width - 1) / width, [&](Index strip) {
        alignas(64) double squares[widest_strip + line_padding] = {};
        alignas(64) Scalar scale[widest_strip], minus_factor[widest_strip];
        const Range columns{strip * width, std::min(shape.cols, (strip + 1) * width)};
        advance(streams, coefficients, streams.rows(), columns, squares);
        const bool is_scaled =
            set_factors(streams, coefficients, columns, squares, scale, minus_factor, reduction);
        move(streams, coefficients, streams.rows(), columns, is_scaled ? scale : nullptr, minus_factor);
      });
    } else if (reduction.whole(shape).rows > 0) {
      const Range columns = streams.columns();
      const auto add = [&](Range rows, double* line) { advance(streams, coefficients, rows, columns, line); };
      const double* squares = memory.sums.over(shape, add, reduction);
      Scalar *scale = memory.scale.data(), *minus_factor = memory.minus_factor.data();
      if (!set_factors(streams, coefficients, columns, squares, scale, minus_factor, reduction))
        scale = nullptr;
      for_each_chunk(chunks_of(shape),
                     [&](Range rows) { move(streams, coefficients, rows, columns, scale, minus_factor); });
    }
    return true;
  }

 private:
  static constexpr Index widest_strip = 256;

  /// Columns in a strip of which one block's stays in the second cache, for blocks of which all of it does; 0
  /// for others: strips of long rows lie a power of two apart, and push each other out of the cache.
  template <class Scalar>
  static Index strip_width(Shape shape) {
    constexpr Index cache = Index{256} * 1024;
    const bool fits = shape.rows * shape.cols * static_cast<Index>(sizeof(Scalar)) <= cache;
    return fits ? widest_strip : 0;
  }

  template <class Scalar>
  static bool goes_by_strips(Shape shape, ScratchOptions options) {
    return options.whole_rows == 0 && strip_width<Scalar>(shape) > 0;
  }

  /// Advances the momentum and adds up squares. A group of rows reads and writes the sums once for all of
  /// them; where memory is slower than that, rows come one by one and are asked for early.
  template <class Scalar>
  static void advance(const Streams<Scalar>& streams, const StepCoefficients& coefficients, Range rows,
                      Range columns, double* squares) {
    using L = Lanes<Scalar>;
    constexpr Index largest_momentum_for_groups = Index{16} * 1024 * 1024;
    const Shape shape = streams.shape();
    const Average<Scalar> average(coefficients);
    const auto body = [=](L g, L& m, DoubleLanes<Scalar>& sum) SYMOPT_INLINE_LAMBDA {
      m = average.next(m, g);
      sum.add_square(average.nesterov_momentum(m, g));
    };
    const auto sweep_in_groups_of = [&](auto size) {
      sweep<size>(rows, columns, body, in<Fetch::close>(streams.gradient),
                  inout<Fetch::close>(streams.momentum), column_sums(squares));
    };
    if (shape.rows * shape.cols * static_cast<Index>(sizeof(Scalar)) <= largest_momentum_for_groups) {
      sweep_in_groups_of(std::integral_constant<int, 4>{});
    } else {
      sweep_in_groups_of(std::integral_constant<int, 1>{});
    }
  }

  /// Returns whether any scale is not 1.
  template <class Scalar>
  bool set_factors(const Streams<Scalar>& streams, const StepCoefficients& coefficients, Range columns,
                   const double* squares, Scalar* scale, Scalar* minus_factor, const auto& reduction) const {
    bool is_scaled = false;
    for (Index j = columns.begin; j < columns.end; ++j) {
      const Index k = j - columns.begin;
      const auto column = [&](auto&& show) {
        for (Index i = 0; i < streams.shape().rows; ++i) scan_row(streams, coefficients, i, {j, j + 1}, show);
      };
      const Norm norm = norm_from<Scalar>(
          squares[k], [&](auto&& visit) { reduction.template scan<Scalar>(column, visit); });
      const NormFactors<Scalar> factors(norm, eps, coefficients.step_size);
      scale[k] = factors.scale;
      minus_factor[k] = -factors.factor;
      is_scaled |= factors.scale != Scalar(1);
    }
    return is_scaled;
  }

  /// W <- W - decay W - momentum * scale * factor; without `scale` where all are 1, which is one line less to
  /// read.
  template <class Scalar>
  static void move(const Streams<Scalar>& streams, const StepCoefficients& coefficients, Range rows,
                   Range columns, const Scalar* scale, const Scalar* minus_factor) {
    using L = Lanes<Scalar>;
    const Average<Scalar> average(coefficients);
    const L keep(static_cast<Scalar>(1.0 - coefficients.decay));
    const auto sweep_with = [&](auto... scales) {
      sweep(
          rows, columns,
          [=](OptionalLanes<Scalar> g, L m, L& w, L factor, auto... scale_here) SYMOPT_INLINE_LAMBDA {
            w = moved(w, keep, factor, (average.nesterov_momentum(m, g) * ... * scale_here));
          },
          in_if(average.nesterov, streams.gradient), in<Fetch::close>(streams.momentum),
          inout<Fetch::close>(streams.weights), per_column(minus_factor), scales...);
    };
    if (scale != nullptr) {
      sweep_with(per_column(scale));
    } else {
      sweep_with();
    }
  }
};

}}}  // namespace symopt::kernel
