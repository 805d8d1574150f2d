// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/stack/state_access.hpp>

#include <cstddef>
#include <string>

namespace symopt_test {

/// The state of a LayerwiseOptimizer or of the optimizer of one block, as text: equal texts are
/// equal states, bit for bit.
template <class AnyOptimizer>
std::string state_bits(const AnyOptimizer& optimizer) {
  const symopt::detail::StateTable table = symopt::detail::StateAccess::table(optimizer);
  std::string bits = std::to_string(table.steps) + " steps, factor " + std::to_string(table.schedule_factor);
  for (const symopt::detail::SavedParameter& parameter : table.parameters) {
    bits += "\n" + parameter.name + " rate " + std::to_string(parameter.options.learning_rate);
    const auto add = [&](const symopt::detail::StateField& field) {
      bits += "\n" + field.name + " ";
      symopt::Index count = 1;  // of the scalars, which a permutation of strides does not spread
      for (const symopt::Index extent : field.shape) count *= extent;
      bits.append(static_cast<const char*>(field.data), static_cast<std::size_t>(count) * field.scalar_size);
    };
    try {
      parameter.state->visit({add});
    } catch (const symopt::Error&) {
      bits += "\nnothing that it shows";
    }
  }
  return bits;
}

}  // namespace symopt_test
