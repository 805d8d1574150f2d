// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/stack/parameter_list.hpp>
#include <symopt/stack/step_schedule.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace symopt { inline namespace SYMOPT_ABI { namespace detail {

/// The gradients that are not finite, by the parameters' names, and whether the options of one of these say
/// that this is an error.
struct NonFiniteGradients {
  std::vector<std::string> parameters;
  bool is_error = false;

  template <class Scalar>
  void add(const Parameter<Scalar>& parameter) {
    parameters.push_back(parameter.name());
    is_error = is_error || parameter.options().non_finite == NonFinite::throw_error;
  }
};

/// Tests whether a step would move anything.
template <class Scalar>
bool any_has_gradient(const std::vector<std::unique_ptr<Parameter<Scalar>>>& parameters) {
  return std::ranges::any_of(parameters, [](const auto& each) { return each->has_gradient(); });
}

/// Looks at all gradients that options do not vouch for, and changes nothing.
template <class Scalar>
NonFiniteGradients non_finite_gradients(const std::vector<std::unique_ptr<Parameter<Scalar>>>& parameters) {
  NonFiniteGradients found;
  for (const auto& parameter : parameters)
    if (parameter->options().non_finite != NonFinite::unchecked && !parameter->gradient_is_finite())
      found.add(*parameter);
  return found;
}

/// A step of the parameters of a stack in its parts, in the order in which they are to be called. Whoever
/// shares the parameters with other processes speaks to them in between. After non_finite_gradients().
template <class Scalar>
struct StackStep {
  const std::vector<std::unique_ptr<Parameter<Scalar>>>& parameters;
  std::vector<StepInput<Scalar>>& inputs;  ///< memory to work in
  const StepSchedule& schedule;
  std::int64_t number;  ///< of the steps before

  /// Finds whose steps may fail. Errors: Error for factors out of range and for pairs that are not whole.
  void prepare() {
    for (const auto& parameter : parameters) parameter->prepare(schedule, number, inputs);
  }

  /// The steps that may fail, before all others: of rules that may throw, and of numbers that may leave the
  /// range. They are kept, so that all of them can be put back when one does. Returns the parameter that has
  /// left the range, with nothing changed, or null. What is thrown is passed on, with nothing changed.
  const Parameter<Scalar>* take_those_that_may_fail() {
    std::size_t kept = 0;
    try {
      for (const auto& parameter : parameters) {
        if (parameter->may_fail()) parameter->keep();
        ++kept;
        if (!parameter->may_fail()) continue;
        parameter->step(schedule, number, inputs);
        if (!parameter->has_left_range()) continue;
        put_back(kept);
        return parameter.get();
      }
    } catch (...) {
      put_back(kept);
      throw;
    }
    return nullptr;
  }
  /// Puts what those steps changed back, after all of them went well.
  void put_back() { put_back(parameters.size()); }

  /// The step of a parameter that cannot fail; nothing for one that may, one without a gradient, and one
  /// whose blocks other processes hold.
  void take(Parameter<Scalar>& parameter) {
    if (parameter.has_gradient() && !parameter.held().empty() && !parameter.may_fail())
      parameter.step(schedule, number, inputs);
  }

 private:
  void put_back(std::size_t count) {
    for (std::size_t p = 0; p < count; ++p)
      if (parameters[p]->may_fail()) parameters[p]->put_back();
  }
};

}}}  // namespace symopt::detail
