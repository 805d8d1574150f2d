// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/kernel/all_finite.hpp>
#include <symopt/kernel/step.hpp>

#include <atomic>

// The sweeps around a rule that needs the whole momentum in memory: what it is given, and what follows.
// Between them nothing but the direction has been written, so that a rule may throw.
namespace symopt { inline namespace SYMOPT_ABI { namespace kernel {

/// direction <- the momentum that the rule is given, contiguous rows; the momentum in memory has yet to
/// advance. Returns whether the gradient passes a check. Three streams.
template <class Scalar>
bool write_next_momentum(const Streams<Scalar>& streams, const StepCoefficients& coefficients,
                         const BlockView<Scalar>& direction) {
  using L = Lanes<Scalar>;
  std::atomic<bool> passes = true;
  for_each_chunk(chunks_of(streams.shape()), [&](Range rows) {
    const Average<Scalar> average(coefficients);
    LargeMarks<Scalar> marks(streams.gradient_exponent);
    sweep(
        rows, streams.columns(),
        [=](L g, L m, L& d, LargeMarks<Scalar>& found) SYMOPT_INLINE_LAMBDA {
          found.add(g);
          d = average.nesterov_momentum(average.next(m, g), g);
        },
        in(streams.gradient), in(streams.momentum), out(direction), accumulate(marks));
    if (marks.any()) passes.store(false, std::memory_order_relaxed);
  });
  return passes;
}

/// copy <- weights or a gradient, contiguous rows.
template <class Scalar>
void copy_block(const auto& view, const BlockView<Scalar>& copy) {
  using L = Lanes<Scalar>;
  for_each_chunk(chunks_of(view.shape()), [&](Range rows) {
    sweep(
        rows, {0, view.shape().cols}, [](L x, L& to) SYMOPT_INLINE_LAMBDA { to = x; }, in(view), out(copy));
  });
}

/// W <- W - decay W - step_size * direction, or W <- W - decay * decayed - step_size * direction with
/// `decayed` given: the part of W that decays. The momentum, where there is one, advances in the same sweep.
/// Six streams; three without.
template <class Scalar>
void move_along(const Streams<Scalar>& streams, const StepCoefficients& coefficients,
                const BlockView<Scalar>& direction, const BlockView<Scalar>* decayed) {
  using L = Lanes<Scalar>;
  const auto lanes = [](double x) { return L(static_cast<Scalar>(x)); };
  const Average<Scalar> average(coefficients);
  const bool advances = streams.momentum.data != nullptr, decays_apart = decayed != nullptr;
  const L keep = lanes(decays_apart ? 1.0 : 1.0 - coefficients.decay);
  const L minus_step_size = lanes(-coefficients.step_size), minus_decay = lanes(-coefficients.decay);
  for_each_chunk(chunks_of(streams.shape()), [&](Range rows) {
    sweep(
        rows, streams.columns(),
        [=](OptionalLanes<Scalar> g, OptionalLanes<Scalar>& m, L d, OptionalLanes<Scalar> decays, L& w)
            SYMOPT_INLINE_LAMBDA {
              if (m.is_given) m.lanes = average.next(m.lanes, g.lanes);
              if (decays.is_given) w = multiply_add(minus_decay, decays.lanes, w);
              w = moved(w, keep, minus_step_size, d);
            },
        in_if(advances, streams.gradient), inout_if(advances, streams.momentum), in(direction),
        in_if(decays_apart, decays_apart ? *decayed : direction), inout(streams.weights));
  });
}

}}}  // namespace symopt::kernel
