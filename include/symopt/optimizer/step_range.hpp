// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/kernel/all_finite.hpp>
#include <symopt/optimizer/rule_traits.hpp>
#include <symopt/optimizer/step_input.hpp>

#include <algorithm>
#include <cmath>
#include <concepts>
#include <limits>

// Finite numbers in, finite numbers out. A step of gradients of a usual size (kernel/all_finite.hpp) is in
// range by bounds, which cost nothing: of the momentum, that moves on with it, and of the direction, that the
// rule is known for. Where these do not suffice the numbers are looked at, and where those do not either, the
// step is taken with a copy of what it changes, and taken back where it has left the range
// (optimizer/careful_step.hpp).
namespace symopt { inline namespace SYMOPT_ABI { namespace detail {

inline constexpr double unbounded = std::numeric_limits<double>::infinity();

/// The size that no entry of a usual gradient reaches: 2^48 in float, 2^384 in double.
template <class Scalar>
inline const double usual_gradient = std::ldexp(1.0, kernel::usual_exponent<Scalar>);

/// The exponent of what weights may move by, all the same how large they are: less than half a unit in the
/// last place of the largest number, so that the sum is rounded to that at most.
template <class Scalar>
inline constexpr int harmless_exponent =
    std::numeric_limits<Scalar>::max_exponent - std::numeric_limits<Scalar>::digits - 2;

/// The exponent under which a momentum stays, so that everything made of it on the way to a direction is in
/// range.
template <class Scalar>
inline constexpr int momentum_exponent = std::numeric_limits<Scalar>::max_exponent - 4;

/// A bound on the entries of a stage's output, from the bound `input` on those of its input: as the stage
/// states it, by a member largest_entry(shape, input); else a multiple of its nominal size, where that does
/// not depend on the input.
template <class Stage>
double largest_of_stage(const Stage& stage, Shape shape, double input) {
  if constexpr (requires { stage.largest_entry(shape, input); }) {
    return stage.largest_entry(shape, input);
  } else if constexpr (is_scale_free_v<Stage> && has_root_mean_square<Stage>()) {
    constexpr double room = 16;
    return room * root_mean_square_of_stage(stage, shape, shape) *
           std::sqrt(static_cast<double>(shape.rows) * static_cast<double>(shape.cols));
  } else {
    return unbounded;
  }
}

/// A bound on the entries of a rule's direction, from the bound `input` on those of its input: that of its
/// stages, with room for the projections between them.
template <class Rule>
double largest_of_direction(const Rule& rule, Shape shape, double input) {
  constexpr double projected = 4;
  double largest = projected * input;
  for_each_stage(rule,
                 [&](const auto& stage) { largest = projected * largest_of_stage(stage, shape, largest); });
  return largest;
}

/// The largest entry of a gradient; Inf of one that is not finite.
template <class Scalar>
[[gnu::cold, gnu::noinline]] double largest_entry(const kernel::GradientView<Scalar>& gradient) {
  double largest = 0;
  for (Index i = 0; i < gradient.shape().rows; ++i)
    for (Index j = 0; j < gradient.shape().cols; ++j) {
      const double entry = std::abs(static_cast<double>(gradient.at(i, j)));
      if (!is_finite(entry)) return unbounded;
      largest = std::max(largest, entry);
    }
  return largest;
}

/// Tests whether a direction with entries up to `largest_direction` cannot move finite weights out of range,
/// nor overflow when it is multiplied by the step size.
template <class Scalar>
bool is_harmless(const kernel::StepCoefficients& coefficients, double largest_direction) {
  return coefficients.decay <= 2 &&
         coefficients.step_size <= std::ldexp(1.0, std::numeric_limits<Scalar>::max_exponent / 4) &&
         coefficients.step_size * largest_direction <= std::ldexp(1.0, harmless_exponent<Scalar>);
}

/// Tests whether a direction cannot move finite weights out of range, by its entries: one read of it.
template <class Scalar>
bool is_harmless(const kernel::StepCoefficients& coefficients, const BlockView<Scalar>& direction) {
  constexpr int most = std::numeric_limits<Scalar>::max_exponent;
  const int step = coefficients.step_size > 0 ? std::ilogb(coefficients.step_size) + 1 : -most;
  const int exponent = std::clamp(harmless_exponent<Scalar> - step, 2 - most, most);
  return kernel::all_below(exponent, kernel::GradientView<Scalar>(BlockView<const Scalar>(direction)));
}

/// A bound on the entries of the next momentum, and on those of the rule's input, from the bound `momentum`
/// on the present one.
template <class Scalar>
double next_bound(double momentum, const StepInput<Scalar>& input) {
  const kernel::StepCoefficients& c = input.coefficients;
  const double added = std::abs(c.weight_of_stored_gradient()) * input.largest_gradient;
  const double next = c.beta * momentum + added;
  return c.nesterov ? std::max(next, c.beta * next + added) : next;
}

}}}  // namespace symopt::detail
