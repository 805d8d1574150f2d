// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/check/report.hpp>
#include <symopt/check/tolerance.hpp>

#include <functional>
#include <optional>
#include <string>

namespace symopt { inline namespace SYMOPT_ABI { namespace check::detail {

/// A failed trial as a report shows it.
struct Failure {
  std::string reason;
  std::optional<Counterexample> counterexample{};
};

/// The outcome of one trial.
struct Outcome {
  double error = 0;     ///< the violation over what rounding allows
  double relative = 0;  ///< the violation over the size of the output
  bool is_finite = true;
  bool has_shape = true;    ///< the output has the input's shape
  bool is_function = true;  ///< two calls on the same input gave the same output
  bool is_ill_posed = false;
  bool has_moved = true;                      ///< something moved that the rule sees
  bool has_varied = true;                     ///< the output is known to depend on the input
  std::optional<double> relative_in_float{};  ///< `relative` once more in float, for a rule in double
  std::string approximation_reason{};         ///< why the rule calls its output approximate, where it does
  std::function<Failure()> failure{};         ///< of a violation; called for the one that is shown

  /// Tests whether the rule gave no output that can be compared.
  bool is_defective() const { return !is_finite || !has_shape || !is_function; }
  bool is_violation() const { return is_defective() || (!is_ill_posed && !(error <= 1)); }
  bool is_clear_violation() const {
    return is_defective() || (is_violation() && relative >= clear_violation);
  }
};

/// The outcome of comparing outputs of that size, which rounding of the inputs can change by `change` and
/// which are themselves rounded in the `unit`.
inline Outcome outcome_of(double violation, double size, double change, double unit) {
  Outcome outcome;
  outcome.relative = violation == 0 ? 0 : violation / size;
  outcome.error = tolerance.error(violation, change + unit * size);
  outcome.is_ill_posed = tolerance.is_ill_posed(change, size);
  return outcome;
}

}}}  // namespace symopt::check::detail
