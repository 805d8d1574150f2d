// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/optimizer/fused_step.hpp>
#include <symopt/optimizer/scratch.hpp>

namespace symopt { inline namespace SYMOPT_ABI { namespace detail {

/// The steps of a rule with a state and a kernel of its own, with the scratch of each orientation where the
/// rule asks for some.
template <class Rule, class Scalar>
class FusedStateStep {
 public:
  /// Takes what a step of that orientation lacks.
  template <Orientation orientation>
  void reserve(const ScratchSource& source, Shape shape) {
    if constexpr (FusedStateWithMemory<Rule, Scalar>) {
      Scratch& scratch = scratch_along(orientation);
      if (!scratch.is_empty()) return;
      const Shape lines = orientation == Orientation::along_rows ? shape : transposed(shape);
      scratch.template take<typename Rule::template StepMemory<Scalar, orientation>>(source, lines);
    }
  }

  /// One step, on memory that runs along rows. Returns false, and has changed nothing, where the gradient was
  /// to be checked and is not finite.
  template <Orientation orientation>
  bool run(const Rule& rule, const StepInput<Scalar>& lines, auto& state, const auto&... reduction) {
    if constexpr (FusedStateWithMemory<Rule, Scalar>) {
      using Memory = typename Rule::template StepMemory<Scalar, orientation>;
      auto& memory = scratch_along(orientation).template as<Memory>();
      return rule.template fused_step<orientation>(lines, state, memory, reduction...);
    } else {
      return rule.fused_step(lines, orientation, state, reduction...);
    }
  }

 private:
  Scratch& scratch_along(Orientation orientation) {
    return orientation == Orientation::along_rows ? along_rows_ : along_columns_;
  }

  Scratch along_rows_, along_columns_;
};

}}}  // namespace symopt::detail
