// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/stack/parameter_list.hpp>
#include <symopt/stack/stack_options.hpp>
#include <symopt/stack/step_schedule.hpp>

// Changes between steps that concern several parameters of a stack: of all of them, or of none.
namespace symopt { inline namespace SYMOPT_ABI { namespace detail {

/// set(options) for the options of a stack, and for those of its parameters that are concerned. Errors: of
/// the options that do not suit; all old ones stay.
template <class Scalar>
void change_options(StackOptions& options, const ParameterList<Scalar>& parameters, const auto& set,
                    const auto& is_concerned) {
  StackOptions changed = options;
  set(changed);
  validate(changed);
  for (const auto& parameter : parameters.all())
    if (is_concerned(*parameter)) parameter->changed(set);
  options = changed;
  for (const auto& parameter : parameters.all())
    if (is_concerned(*parameter)) parameter->change(set);
}

/// Likewise for all parameters.
template <class Scalar>
void change_options(StackOptions& options, const ParameterList<Scalar>& parameters, const auto& set) {
  change_options(options, parameters, set, [](const auto&) { return true; });
}

/// Sets one number of a schedule. Errors: of numbers with which a parameter cannot step; the old one stays.
template <class Scalar, class Number>
void change_schedule(StepSchedule& schedule, const ParameterList<Scalar>& parameters,
                     Number StepSchedule::*number, Number value) {
  StepSchedule changed = schedule;
  changed.*number = value;
  validate(changed);
  for (const auto& parameter : parameters.all()) parameter->require_factors(parameter->options(), changed);
  schedule = changed;
}

}}}  // namespace symopt::detail
