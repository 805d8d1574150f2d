// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/interop/mpi/row_reduction.hpp>
#include <symopt/optimizer/block.hpp>

#include <numeric>
#include <type_traits>

namespace symopt { inline namespace SYMOPT_ABI { namespace detail {

/// A kernel that takes a reduction, or does without.
template <class Step, class Scalar, class Reduction>
concept SplitStep = requires(const Step& step, const kernel::Streams<Scalar>& streams,
                             const kernel::StepCoefficients& coefficients,
                             typename Step::template Memory<Scalar>& memory, const Reduction& reduction) {
  step.run(streams, coefficients, kernel::Check::nothing, memory, reduction);
};

/// A stateful rule whose kernel takes a reduction, or does without.
template <class Rule, class Scalar, class Reduction>
concept SplitStateWithoutMemory = requires(const Rule& rule, typename Rule::template State<Scalar>& state,
                                           const StepInput<Scalar>& lines, const Reduction& reduction) {
  rule.fused_step(lines, Orientation::along_rows, state, reduction);
};
template <class Rule, class Scalar, class Reduction>
concept SplitStateWithMemory = requires(
    const Rule& rule, typename Rule::template State<Scalar>& state, const StepInput<Scalar>& lines,
    typename Rule::template StepMemory<Scalar, Orientation::along_rows>& memory, const Reduction& reduction) {
  rule.template fused_step<Orientation::along_rows>(lines, state, memory, reduction);
};

/// Tests whether a rule can step a block of which several processes have rows: its kernel takes a reduction,
/// or all its stages do.
template <class Rule, class Scalar>
constexpr bool can_split_rows() {
  using Reduction = mpi::detail::RowReduction<Scalar>;
  if constexpr (StatefulRule<Rule, Scalar>) {
    return SplitStateWithoutMemory<Rule, Scalar, Reduction> || SplitStateWithMemory<Rule, Scalar, Reduction>;
  } else {
    using Map = typename OrientedMap<Rule>::template Along<Orientation::along_rows>;
    if constexpr (HasFusedStep<Map>) {
      return SplitStep<step_of_t<Map>, Scalar, Reduction>;
    } else {
      return !any_stage<Rule>(
          []<class Stage>(std::type_identity<Stage>) { return !SplitMap<Stage, Scalar, Reduction>; });
    }
  }
}

/// So many consecutive rows a rule needs on one process: those of a head, or one.
template <class Rule, class Scalar>
Index rows_together(const Rule& rule) {
  Index together = 1;
  if constexpr (!StatefulRule<Rule, Scalar>)
    for_each_stage(rule, [&]<class Stage>(const Stage&) {
      if constexpr (requires { Stage::rows_together; }) together = std::lcm(together, Stage::rows_together);
    });
  return together;
}

}}}  // namespace symopt::detail
