// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/kernel/column_sums.hpp>
#include <symopt/kernel/row_steps.hpp>

namespace symopt { inline namespace SYMOPT_ABI { namespace kernel {

/// Every column over its norm plus eps, on memory that runs along rows: a sweep that advances the momentum
/// and adds up squares, and one that moves the weights. Six streams, and one more read of the gradient where
/// it is checked. A block that fits the cache is done strip by strip in one sweep. Sums of squares in double:
/// a relative error of at most rows * 2^-53 in a norm.
struct ColumnNormStep {
  double eps;

  template <class Scalar>
  struct Memory {
    Memory(Shape shape, ScratchOptions)
        : sums(strip_width<Scalar>(shape) > 0 ? Shape{} : shape),
          scale(strip_width<Scalar>(shape) > 0 ? 0 : padded(shape.cols)),
          minus_factor(scale.size()) {}

    ColumnSums sums;
    Buffer<Scalar> scale, minus_factor;
  };

  template <class Scalar>
  bool run(const Streams<Scalar>& streams, const StepCoefficients& coefficients, Check check, auto& memory) const {
    if (!passes(check, streams)) return false;
    const Shape shape = streams.shape();
    const Index width = strip_width<Scalar>(shape);
    if (width > 0) {
      parallel_sweep((shape.cols + width - 1) / width, [&](Index strip) {
        alignas(64) double squares[widest_strip + line_padding] = {};
        alignas(64) Scalar scale[widest_strip], minus_factor[widest_strip];
        const Index begin = strip * width, end = std::min(shape.cols, begin + width);
        advance(streams, coefficients, 0, shape.rows, begin, end, squares);
        const bool is_scaled = set_factors(streams, coefficients, begin, end, squares, scale, minus_factor);
        move(streams, coefficients, 0, shape.rows, begin, end, is_scaled ? scale : nullptr, minus_factor);
      });
    } else if (shape.rows > 0) {
      const double* squares = memory.sums.over(shape, [&](Index first, Index last, double* line) {
        advance(streams, coefficients, first, last, 0, shape.cols, line);
      });
      Scalar *scale = memory.scale.data(), *minus_factor = memory.minus_factor.data();
      if (!set_factors(streams, coefficients, 0, shape.cols, squares, scale, minus_factor)) scale = nullptr;
      for_each_piece(pieces_of(shape), [&](Index first, Index last) {
        move(streams, coefficients, first, last, 0, shape.cols, scale, minus_factor);
      });
    }
    return true;
  }

 private:
  static constexpr Index widest_strip = 256;

  /// Columns in a strip of which one block's stays in the second cache, for blocks of which all of it does; 0
  /// for others: strips of long rows lie a power of two apart, and push each other out of the cache.
  template <class Scalar>
  static Index strip_width(Shape shape) {
    constexpr Index cache = 256 * 1024;
    const bool fits = shape.rows * shape.cols * static_cast<Index>(sizeof(Scalar)) <= cache;
    return fits ? widest_strip : 0;
  }

  /// Advances the momentum and adds up squares. A group of rows reads and writes the sums once for all of
  /// them; where memory is slower than that, rows come one by one and are asked for early.
  template <class Scalar>
  static void advance(const Streams<Scalar>& streams, const StepCoefficients& coefficients, Index first, Index last,
                      Index begin, Index end, double* squares) {
    constexpr Index largest_momentum_for_groups = 16 * 1024 * 1024;
    const Shape shape = streams.shape();
    const auto add_rows = [&](auto rows, Index i) {
      advance_rows<rows>(streams, coefficients, i, begin, end, squares);
    };
    if (shape.rows * shape.cols * static_cast<Index>(sizeof(Scalar)) <= largest_momentum_for_groups) {
      for_each_row_group<4>(first, last, add_rows);
    } else {
      for_each_row_group<1>(first, last, add_rows);
    }
  }
  template <int rows, class Scalar>
  SYMOPT_INLINE static void advance_rows(const Streams<Scalar>& streams, const StepCoefficients& coefficients,
                                         Index row, Index begin, Index end, double* squares) {
    const Average<Scalar> average(coefficients);
    for_each_stretch(
        begin, end,
        [&](Index col, Index count) SYMOPT_INLINE_LAMBDA {
          const RowWindows<GradientWindow<Scalar>, rows> gradient(streams.gradient, row, col, count);
          const Scalar* g[rows];
          Scalar* m[rows];
          for (int r = 0; r < rows; ++r) {
            g[r] = gradient[r];
            m[r] = streams.momentum.row(row + r) + col;
          }
          double* line = squares + (col - begin);
          for_each_place<Scalar>(count, [&](auto at) SYMOPT_INLINE_LAMBDA {
            DoubleLanes<Scalar> sums = DoubleLanes<Scalar>::load(line + at.j);
#pragma GCC unroll 4
            for (int r = 0; r < rows; ++r) {
              if constexpr (rows == 1) {
                fetch_ahead(g[r], at);
                fetch_ahead(m[r], at);
              }
              const Lanes<Scalar> slope = load(g[r], at), next = average.next(load(m[r], at), slope);
              store(m[r], at, next);
              sums.add_square(average.ahead(next, slope));
            }
            sums.store(line + at.j);
          });
        },
        streams.gradient);
  }

  /// Returns whether any scale is not 1.
  template <class Scalar>
  bool set_factors(const Streams<Scalar>& streams, const StepCoefficients& coefficients, Index begin, Index end,
                   const double* squares, Scalar* scale, Scalar* minus_factor) const {
    bool is_scaled = false;
    for (Index j = begin; j < end; ++j) {
      const double norm = norm_from<Scalar>(squares[j - begin], [&](auto&& visit) {
        for (Index i = 0; i < streams.shape().rows; ++i) scan_row(streams, coefficients, i, j, j + 1, visit);
      });
      const NormFactors<Scalar> factors(norm, eps, coefficients.step_size);
      scale[j - begin] = factors.scale;
      minus_factor[j - begin] = -factors.factor;
      is_scaled |= factors.scale != Scalar(1);
    }
    return is_scaled;
  }

  /// W <- W - decay W - momentum * scale * factor; without `scale` where all are 1, which is one table less
  /// to read.
  template <class Scalar>
  static void move(const Streams<Scalar>& streams, const StepCoefficients& coefficients, Index first, Index last,
                   Index begin, Index end, const Scalar* scale, const Scalar* minus_factor) {
    using L = Lanes<Scalar>;
    if (scale != nullptr) {
      move_scaled(streams, coefficients, first, last, begin, end, minus_factor,
                  [scale](L x, Index col, auto at)
                      SYMOPT_INLINE_LAMBDA { return x * load(scale + col, at); });
    } else {
      move_scaled(streams, coefficients, first, last, begin, end, minus_factor,
                  [](L x, Index, auto) SYMOPT_INLINE_LAMBDA { return x; });
    }
  }
  template <class Scalar, class Scaled>
  static void move_scaled(const Streams<Scalar>& streams, const StepCoefficients& coefficients, Index first, Index last,
                          Index begin, Index end, const Scalar* minus_factor, Scaled scaled) {
    using L = Lanes<Scalar>;
    const Average<Scalar> average(coefficients);
    const L keep(static_cast<Scalar>(1.0 - coefficients.decay));
    for (Index i = first; i < last; ++i)
      for_each_stretch(
          begin, end,
          [&](Index col, Index count) SYMOPT_INLINE_LAMBDA {
            const GradientWindow<Scalar> gradient(streams.gradient, i, col, average.nesterov ? count : 0);
            const WeightsWindow<Scalar> weights(streams.weights, i, col, count);
            Scalar* w = weights.data();
            const Scalar* g = gradient.data();
            const Scalar* m = streams.momentum.row(i) + col;
            const Scalar* length = minus_factor + (col - begin);
            for_each_place<Scalar>(count, [&](auto at) SYMOPT_INLINE_LAMBDA {
              fetch_ahead(m, at);
              fetch_ahead(w, at);
              L x = load(m, at);
              if (average.nesterov) x = average.ahead(x, load(g, at));
              store(w, at, moved(load(w, at), keep, load(length, at), scaled(x, col - begin, at)));
            });
          },
          streams.gradient, streams.weights);
  }
};

/// The block over its Frobenius norm: a sweep that adds up squares, and checks, then one that moves. Seven
/// streams.
struct FrobeniusStep {
  template <class Scalar>
  struct Memory {
    Memory(Shape shape, ScratchOptions) : squares(summed_pieces_of(shape).count) {}
    Buffer<double> squares;
  };

  template <class Scalar>
  bool run(const Streams<Scalar>& streams, const StepCoefficients& coefficients, Check check, auto& memory) const {
    const Shape shape = streams.shape();
    const Pieces pieces = summed_pieces_of(shape);
    std::atomic<bool> finite = true;
    parallel_sweep(pieces.count, [&](Index piece) {
      const Average<Scalar> average(coefficients);
      typename Lanes<Scalar>::BitVector found{};
      DoubleLanes<Scalar> squares;
      for (Index i = pieces.first(piece); i < pieces.end(piece); ++i)
        for_each_stretch(
            0, shape.cols,
            [&](Index col, Index count) SYMOPT_INLINE_LAMBDA {
              const GradientWindow<Scalar> gradient(streams.gradient, i, col, count);
              const Scalar* g = gradient.data();
              const Scalar* m = streams.momentum.row(i) + col;
              auto found_here = found;
              DoubleLanes<Scalar> sums = squares;
              for_each_place<Scalar>(count, [&](auto at) SYMOPT_INLINE_LAMBDA {
                const Lanes<Scalar> slope = load(g, at);
                found_here |= non_finite_bits(slope);
                sums.add_square(average.ahead(average.next(load(m, at), slope), slope));
              });
              found = found_here;
              squares = sums;
            },
            streams.gradient);
      memory.squares.data()[piece] = squares.sum();
      if (has_top_bit<Scalar>(found)) finite.store(false, std::memory_order_relaxed);
    });
    if (check == Check::gradient && !finite) return false;

    double sum = 0;
    for (Index piece = 0; piece < pieces.count; ++piece) sum += memory.squares.data()[piece];
    const double norm = norm_from<Scalar>(sum, [&](auto&& visit) {
      const Average<Scalar> average(coefficients);
      for (Index i = 0; i < shape.rows; ++i)
        for (Index j = 0; j < shape.cols; ++j) visit(entry_ahead(streams, average, i, j));
    });
    const NormFactors<Scalar> factors(norm, 0, coefficients.step_size);
    StepCoefficients scaled = coefficients;
    scaled.step_size = static_cast<double>(factors.factor);
    const Lanes<Scalar> scale(factors.scale);
    IdentityStep::sweep(streams, scaled, [scale](Lanes<Scalar> x) { return x * scale; });
    return true;
  }
};

}}}  // namespace symopt::kernel
