// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/abi.hpp>

#include <limits>

namespace symopt { inline namespace SYMOPT_ABI { namespace check::detail {

/// The tolerance of all laws: the violations that rounding excuses. A violation passes up to `roundings`
/// times what rounding can do: the largest change of the output when every number is rounded once more, and a
/// rounding of the output itself. Where rounding can change more than the `deciding` share of the output it
/// decides the output, and the trial says nothing.
struct Tolerance {
  double roundings = 32;
  double deciding = 1e-3;

  /// A violation in units of what is allowed: at most 1 passes.
  constexpr double error(double violation, double rounding) const {
    return violation == 0 ? 0 : violation / (roundings * rounding);
  }
  /// Tests whether rounding, which can change an output of that size by `change`, decides it.
  constexpr bool is_ill_posed(double change, double size) const { return !(change <= deciding * size); }
};

/// The tolerance of all rules.
inline constexpr Tolerance tolerance{};

/// The share of the output from which on a violation is a clear one: shown before others, kept while it is
/// made small, and asked for by negative controls.
inline constexpr double clear_violation = 0.01;

inline constexpr double infinity = std::numeric_limits<double>::infinity();

}}}  // namespace symopt::check::detail
