// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/kernel/adaptive.hpp>
#include <symopt/kernel/reduction.hpp>
#include <symopt/memory/buffer.hpp>

#include <atomic>

namespace symopt { inline namespace SYMOPT_ABI { namespace kernel {

/// One second moment for the block: a sweep that adds up squares, and checks, then one that moves. Six
/// streams.
struct AdaptiveBlockStep {
  template <class Scalar>
  struct Memory {
    Memory(Shape shape, ScratchOptions) : squares(reduction_chunks(shape).count) {}
    Buffer<double> squares;
  };

  template <class Scalar, class Reduction = NoReduction>
  static bool run(const Streams<Scalar>& streams, double* root, const StepCoefficients& coefficients,
                  const AdamWCoefficients& own, Check check, auto& memory, const Reduction& reduction = {}) {
    using L = Lanes<Scalar>;
    const Shape shape = streams.shape(), whole = reduction.whole(shape);
    if (whole.rows == 0 || whole.cols == 0) return true;
    const Chunks chunks = reduction.chunks(shape);
    std::atomic<bool> passes = true;
    parallel_sweep(chunks.count, [&](Index chunk) {
      LargeMarks<Scalar> marks(streams.gradient_exponent);
      DoubleLanes<Scalar> squares;
      sweep(
          chunks[chunk], streams.columns(),
          [](L g, LargeMarks<Scalar>& found, DoubleLanes<Scalar>& sum) SYMOPT_INLINE_LAMBDA {
            found.add(g);
            sum.add_square(g);
          },
          in(streams.gradient), accumulate(marks), accumulate(squares));
      memory.squares.data()[chunk] = squares.sum();
      if (marks.any()) passes.store(false, std::memory_order_relaxed);
    });
    if (check == Check::gradient && !passes) return false;

    const double sum = sum_of(reduction.gathered({memory.squares.data(), chunks.count, 1, 1}));
    const auto entries = [&](auto&& show) {
      for (Index i = 0; i < shape.rows; ++i)
        for (Index j = 0; j < shape.cols; ++j) show(streams.gradient.at(i, j));
    };
    const Norm norm =
        norm_from<Scalar>(sum, [&](auto&& visit) { reduction.template scan<Scalar>(entries, visit); });
    *root = next_root(*root, root_mean_square(norm, whole.rows * whole.cols, coefficients), own);
    const auto factors = factors_of_root<Scalar>(*root, own, coefficients.step_size);
    StepCoefficients scaled = coefficients;
    scaled.step_size = static_cast<double>(factors.factor);
    entrywise_sweep(streams, scaled,
                    [scale = L(factors.scale)](L x) SYMOPT_INLINE_LAMBDA { return x * scale; });
    return true;
  }
};

}}}  // namespace symopt::kernel
