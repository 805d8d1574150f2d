// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/kernel/row_steps.hpp>

// The sweeps around a rule that needs the whole direction in memory: what it is given, and what follows.
// Between them nothing but the direction has been written, so that a rule may throw.
namespace symopt { inline namespace SYMOPT_ABI { namespace kernel {

/// direction <- what the rule sees, contiguous rows. Returns whether the gradient is finite. Three streams.
template <class Scalar>
bool look_ahead(const Streams<Scalar>& streams, const StepCoefficients& coefficients,
                const BlockView<Scalar>& direction) {
  std::atomic<bool> finite = true;
  for_each_piece(pieces_of(streams.shape()), [&](Index first, Index end) {
    const Average<Scalar> average(coefficients);
    typename Lanes<Scalar>::BitVector found{};
    for (Index i = first; i < end; ++i)
      for_each_stretch(
          0, streams.shape().cols,
          [&](Index col, Index count) SYMOPT_INLINE_LAMBDA {
            const GradientWindow<Scalar> gradient(streams.gradient, i, col, count);
            const Scalar* g = gradient.data();
            const Scalar* m = streams.momentum.row(i) + col;
            Scalar* d = direction.row(i) + col;
            auto found_here = found;
            for_each_place<Scalar>(count, [&](auto at) SYMOPT_INLINE_LAMBDA {
              const Lanes<Scalar> slope = load(g, at);
              found_here |= non_finite_bits(slope);
              store(d, at, average.ahead(average.next(load(m, at), slope), slope));
            });
            found = found_here;
          },
          streams.gradient);
    if (has_top_bit<Scalar>(found)) finite.store(false, std::memory_order_relaxed);
  });
  return finite;
}

/// copy <- W, contiguous rows.
template <class Scalar>
void copy_weights(const WeightsView<Scalar>& weights, const BlockView<Scalar>& copy) {
  for_each_piece(pieces_of(weights.shape()), [&](Index first, Index end) {
    for (Index i = first; i < end; ++i)
      for_each_stretch(
          0, weights.shape().cols,
          [&](Index col, Index count) SYMOPT_INLINE_LAMBDA {
            const WeightsWindow<Scalar> window(weights, i, col, count, false);
            const Scalar* w = window.data();
            Scalar* to = copy.row(i) + col;
            for_each_place<Scalar>(count, [&](auto at) SYMOPT_INLINE_LAMBDA { store(to, at, load(w, at)); });
          },
          weights);
  });
}

/// W <- W - decay W - length * direction, or W <- W - decay * decayed - length * direction with `decayed`
/// given: the part of W that decays. The momentum, where there is one, advances in the same sweep. Six
/// streams; three without.
template <class Scalar>
void move_along(const Streams<Scalar>& streams, const StepCoefficients& coefficients,
                const BlockView<Scalar>& direction, const BlockView<Scalar>* decayed) {
  using L = Lanes<Scalar>;
  const Average<Scalar> average(coefficients);
  const bool advances = streams.momentum.data != nullptr;
  const L keep(static_cast<Scalar>(decayed == nullptr ? 1.0 - coefficients.decay : 1.0));
  const L minus_length(static_cast<Scalar>(-coefficients.step_size)),
      minus_decay(static_cast<Scalar>(-coefficients.decay));
  for_each_piece(pieces_of(streams.shape()), [&](Index first, Index end) {
    for (Index i = first; i < end; ++i)
      for_each_stretch(
          0, streams.shape().cols,
          [&](Index col, Index count) SYMOPT_INLINE_LAMBDA {
            const GradientWindow<Scalar> gradient(streams.gradient, i, col, advances ? count : 0);
            const WeightsWindow<Scalar> weights(streams.weights, i, col, count);
            const Scalar* g = gradient.data();
            Scalar* m = advances ? streams.momentum.row(i) + col : nullptr;
            Scalar* w = weights.data();
            const Scalar* d = direction.row(i) + col;
            const Scalar* p = decayed == nullptr ? d : decayed->row(i) + col;
            for_each_place<Scalar>(count, [&](auto at) SYMOPT_INLINE_LAMBDA {
              if (advances) store(m, at, average.next(load(m, at), load(g, at)));
              L x = load(w, at);
              if (decayed != nullptr) x = multiply_add(minus_decay, load(p, at), x);
              store(w, at, moved(x, keep, minus_length, load(d, at)));
            });
          },
          streams.gradient, streams.weights);
  });
}

}}}  // namespace symopt::kernel
