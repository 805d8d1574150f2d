// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/error.hpp>
#include <symopt/finite.hpp>
#include <symopt/stack/state_access.hpp>

#include <cmath>
#include <cstddef>
#include <limits>
#include <ostream>
#include <string>
#include <vector>

namespace symopt { inline namespace SYMOPT_ABI {

/// The report of a clipping.
struct ClipReport {
  double norm = 0;    ///< of the gradients that are clipped, all together; at most the largest double
  double factor = 1;  ///< what multiplies them in the next step; 1 when they are short enough
  std::vector<std::string> clipped{};     ///< the parameters whose rules depend on the gradient's scale
  std::vector<std::string> scale_free{};  ///< the parameters whose rules do not: left alone
};

/// One line: "norm 12.5, factor 0.08, 3 clipped, 40 scale-free and left alone".
inline std::ostream& operator<<(std::ostream& out, const ClipReport& report) {
  return out << "norm " << report.norm << ", factor " << report.factor << ", " << report.clipped.size()
             << " clipped, " << report.scale_free.size() << " scale-free and left alone";
}

namespace detail {

/// Puts norm and factor of a clipping into its report. norm_times(scale): the norm of the gradients that are
/// clipped, computed from gradients times scale.
void clip(ClipReport& report, double max_norm, const auto& norm_times) {
  report.norm = norm_times(1.0);
  if (report.norm > max_norm && is_finite(report.norm)) {
    report.factor = max_norm / report.norm;
  } else if (!is_finite(report.norm)) {  // it may be beyond doubles, while none of them is
    constexpr double scale = 0x1p-64;
    const double scaled = norm_times(scale);
    if (scaled > max_norm * scale && is_finite(scaled)) {
      report.factor = max_norm * scale / scaled;
      report.norm = std::numeric_limits<double>::max();
    }
  }
}

/// Throws Error unless a norm to clip at is positive.
inline void require_positive_norm(double max_norm) {
  require(max_norm > 0, [&] {
    return "clip_by_global_norm: max_norm is " + std::to_string(max_norm) + "; it must be positive";
  });
}

}  // namespace detail

/// Clips by the global norm for the next step: the gradients of all parameters whose rules depend on the
/// gradient's scale (AdamW, DualNorm, Identity) are multiplied by min(1, max_norm / norm), with the Frobenius
/// norm of all of these together. A rule that normalizes does not depend on it; clipping its gradient would
/// only change the weights of the gradients in its momentum, so such parameters are left alone and reported.
/// The trainer's gradients are only read. To be called between the backward pass and the step. Gradients that
/// are not finite are left to the step, which refuses or skips them. Cost: one read of these gradients; for a
/// rule of your own with a state, a copy where factor < 1. Errors: std::invalid_argument unless max_norm is
/// positive.
template <class Scalar>
ClipReport clip_by_global_norm(BasicLayerwiseOptimizer<Scalar>& stack, double max_norm) {
  detail::require_positive_norm(max_norm);
  ClipReport report;
  const auto& parameters = detail::StateAccess::parameters(stack);
  for (const auto& parameter : parameters) {
    parameter->set_gradient_factor(1);
    if (!parameter->has_gradient()) continue;
    (parameter->facts().is_scale_free ? report.scale_free : report.clipped).push_back(parameter->name());
  }
  detail::clip(report, max_norm, [&](double scale) {
    double norm = 0;
    for (const auto& parameter : parameters)
      if (parameter->has_gradient() && !parameter->facts().is_scale_free)
        for (std::size_t b = 0; b < parameter->block_count(); ++b)
          norm = std::hypot(norm, parameter->gradient_norm(b, scale));
    return norm;
  });
  for (const auto& parameter : parameters)
    if (!parameter->facts().is_scale_free) parameter->set_gradient_factor(report.factor);
  return report;
}

}}  // namespace symopt
