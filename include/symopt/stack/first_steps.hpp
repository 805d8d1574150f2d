// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/stack/parameter.hpp>

#include <cstddef>
#include <memory>
#include <vector>

namespace symopt { inline namespace SYMOPT_ABI { namespace detail {

/// The steps that may fail, step(parameter), before all others: of rules that may throw, and of numbers that
/// may leave the range. They are kept, so that all of them can be put back when one does. Returns the
/// parameter that has left the range, with nothing changed, or null. What is thrown is passed on, with
/// nothing changed.
template <class Scalar>
const Parameter<Scalar>* step_those_that_may_fail(
    const std::vector<std::unique_ptr<Parameter<Scalar>>>& parameters, const auto& step) {
  std::size_t kept = 0;
  const auto put_back = [&] {
    for (std::size_t p = 0; p < kept; ++p)
      if (parameters[p]->may_fail()) parameters[p]->put_back();
  };
  try {
    for (const auto& parameter : parameters) {
      if (parameter->may_fail()) parameter->keep();
      ++kept;
      if (!parameter->may_fail()) continue;
      step(*parameter);
      if (!parameter->has_left_range()) continue;
      put_back();
      return parameter.get();
    }
  } catch (...) {
    put_back();
    throw;
  }
  return nullptr;
}

}}}  // namespace symopt::detail
