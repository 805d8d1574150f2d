// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/bfloat16.hpp>

#include <concepts>

namespace symopt { inline namespace SYMOPT_ABI {

namespace detail {

/// Weights in float of which a step writes a bfloat16 copy too: see with_copy.
template <class Weights, class Copy>
struct WithCopy {
  Weights& weights;  ///< what is trained
  Copy copy;         ///< a reference to bfloat16 memory, or stochastic(memory, seed)
};

}  // namespace detail

/// Weights of which a step writes a copy too, rounded to the nearest bfloat16: what a model computes with
/// beside what is trained. Both may lie in any storage order, and must outlive the call:
///   optimizer.step(with_copy(weights, copy), gradient);
///   optimizer.step(with_copy(weights, stochastic(copy, seed)), gradient);
///@{
template <class Weights, class Copy>
detail::WithCopy<Weights, Copy&> with_copy(Weights& weights, Copy& copy) {
  return {weights, copy};
}
template <class Weights, class Copy>
detail::WithCopy<Weights, detail::StochasticallyRounded<Copy>> with_copy(
    Weights& weights, detail::StochasticallyRounded<Copy> copy) {
  return {weights, copy};
}
///@}

}}  // namespace symopt
