// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/kernel/entrywise.hpp>
#include <symopt/kernel/norm_factors.hpp>
#include <symopt/kernel/reduction.hpp>
#include <symopt/memory/buffer.hpp>

#include <atomic>

namespace symopt { inline namespace SYMOPT_ABI { namespace kernel {

/// The block over its Frobenius norm: a sweep that adds up squares, and checks, then one that moves. Seven
/// streams.
struct FrobeniusStep {
  template <class Scalar>
  struct Memory {
    Memory(Shape shape, ScratchOptions) : squares(reduction_chunks(shape).count) {}
    Buffer<double> squares;
  };

  template <class Scalar, class Reduction = NoReduction>
  bool run(const Streams<Scalar>& streams, const StepCoefficients& coefficients, Check check, auto& memory,
           const Reduction& reduction = {}) const {
    using L = Lanes<Scalar>;
    const Shape shape = streams.shape();
    const Chunks chunks = reduction.chunks(shape);
    const Average<Scalar> average(coefficients);
    std::atomic<bool> passes = true;
    parallel_sweep(chunks.count, [&](Index chunk) {
      LargeMarks<Scalar> marks(streams.gradient_exponent);
      DoubleLanes<Scalar> squares;
      sweep(
          chunks[chunk], streams.columns(),
          [average = average](L g, L m, LargeMarks<Scalar>& found, DoubleLanes<Scalar>& sum)
              SYMOPT_INLINE_LAMBDA {
                found.add(g);
                sum.add_square(average.nesterov_momentum(average.next(m, g), g));
              },
          in(streams.gradient), in(streams.momentum), accumulate(marks), accumulate(squares));
      memory.squares.data()[chunk] = squares.sum();
      if (marks.any()) passes.store(false, std::memory_order_relaxed);
    });
    if (check == Check::gradient && !passes) return false;

    const double sum = sum_of(reduction.gathered({memory.squares.data(), chunks.count, 1, 1}));
    const auto entries = [&](auto&& show) {
      for (Index i = 0; i < shape.rows; ++i)
        for (Index j = 0; j < shape.cols; ++j) show(next_entry(streams, average, i, j));
    };
    const Norm norm =
        norm_from<Scalar>(sum, [&](auto&& visit) { reduction.template scan<Scalar>(entries, visit); });
    const NormFactors<Scalar> factors(norm, 0, coefficients.step_size);
    StepCoefficients scaled = coefficients;
    scaled.step_size = static_cast<double>(factors.factor);
    entrywise_sweep(streams, scaled,
                    [scale = L(factors.scale)](L x) SYMOPT_INLINE_LAMBDA { return x * scale; });
    return true;
  }

 private:
  /// One entry as the rule will be given it, of a momentum that has yet to advance.
  template <class Scalar>
  static Scalar next_entry(const Streams<Scalar>& streams, Average<Scalar> average, Index row, Index col) {
    const Lanes<Scalar> g(streams.gradient.at(row, col)), m(streams.momentum.row(row)[col]);
    return static_cast<Scalar>(average.nesterov_momentum(average.next(m, g), g).value[0]);
  }
};

}}}  // namespace symopt::kernel
