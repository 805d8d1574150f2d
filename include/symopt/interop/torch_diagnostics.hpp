// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/diagnostics/diagnostics.hpp>
#include <symopt/error.hpp>
#include <symopt/interop/torch.hpp>

#include <torch/utils.h>

#include <algorithm>
#include <utility>
#include <vector>

namespace symopt { inline namespace SYMOPT_ABI { namespace interop {

namespace detail {

struct TorchStackAccess {
  static Diagnostics diagnose(TorchOptimizer& optimizer, const DiagnosticsOptions& options) {
    const torch::NoGradGuard no_gradients;
    optimizer.bind_all();
    if (optimizer.stacks_.float_tensors.size() + optimizer.stacks_.double_tensors.size() > 0)
      throw Error(
          "diagnose looks at parameters that kernels step; those on other devices it does not see. Give it "
          "an optimizer of a copy of the model in CPU memory, with the state of this one loaded");
    const Diagnostics floats = symopt::diagnose(optimizer.stacks_.floats, options);
    const Diagnostics doubles = symopt::diagnose(optimizer.stacks_.doubles, options);
    std::vector<ParameterDiagnostics> rows = floats.rows();
    rows.insert(rows.end(), doubles.rows().begin(), doubles.rows().end());
    return Diagnostics(std::max(floats.step(), doubles.step()), std::move(rows));
  }
};

}  // namespace detail

/// A report on the next step of each tensor that has a gradient, at the groups' rates: symopt::diagnose, to
/// be called between backward() and step(). Changes no weight and no state. Cost and errors: those of that,
/// and Error for parameters that libtorch's operations step.
inline Diagnostics diagnose(TorchOptimizer& optimizer, const DiagnosticsOptions& options = {}) {
  return detail::TorchStackAccess::diagnose(optimizer, options);
}

}}}  // namespace symopt::interop
