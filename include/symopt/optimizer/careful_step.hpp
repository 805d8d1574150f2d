// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/optimizer/block.hpp>
#include <symopt/optimizer/kept_weights.hpp>

#include <concepts>
#include <optional>

namespace symopt { inline namespace SYMOPT_ABI { namespace detail {

/// A step that may leave the range of Scalar: taken with a copy of weights and memory, and taken back where
/// it has made an Inf or NaN of finite numbers. Returns whether it stands. What is thrown is passed on, with
/// nothing changed. The gradient is finite. Allocates; rare. A state that cannot be copied stays as it is.
/// `reduction`: nothing, or one for rows that several processes share, whose steps stand together.
template <Orientation orientation, class Rule, class Scalar>
[[gnu::cold, gnu::noinline]] bool careful_step(Block<Rule, Scalar>& block,
                                               const BlockRule<Rule, Scalar>& rule, StepInput<Scalar> input,
                                               const auto&... reduction) {
  using Memory = typename Block<Rule, Scalar>::Memory;
  // A memory that is put back has room for all that a step keeps there.
  block.template reserve<orientation>();
  std::optional<Memory> memory;
  if constexpr (std::copyable<Memory>) memory = block.memory();
  KeptWeights<Scalar> weights;
  weights.keep(input.weights);
  const auto take_back = [&] {
    weights.put_back(input.weights);
    if constexpr (std::copyable<Memory>) block.restore(*memory);
  };
  const auto is_all_finite = [&] {
    bool finite = are_finite(input.weights) && block.is_finite();
    ((finite = reduction.all(finite)), ...);
    return finite;
  };
  const bool was_finite = is_all_finite();
  input.check = kernel::Check::nothing;
  input.largest_gradient = unbounded;
  try {
    block.template step<orientation>(rule, input, reduction...);
  } catch (...) {
    take_back();
    throw;
  }
  if (!was_finite || is_all_finite()) return true;
  take_back();
  return false;
}

}}}  // namespace symopt::detail
