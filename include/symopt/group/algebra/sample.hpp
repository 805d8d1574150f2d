// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/group/algebra/concept.hpp>
#include <symopt/group/random.hpp>

#include <algorithm>
#include <cmath>
#include <vector>

namespace symopt { inline namespace SYMOPT_ABI { namespace detail {

/// Numbers whose largest is `condition` times the smallest, and their geometric middle 1: the singular values
/// of a sampled element. A single one lies in between.
template <RandomEngine Engine>
std::vector<double> spread_numbers(Index count, double condition, Engine& engine) {
  std::vector<double> numbers(static_cast<std::size_t>(count));
  for (double& number : numbers) number = uniform_number(engine);
  const auto [least, most] = std::minmax_element(numbers.begin(), numbers.end());
  const double first = count > 1 ? *least : 0, width = count > 1 && *most > *least ? *most - *least : 1;
  for (double& number : numbers) number = std::pow(condition, (number - first) / width - 0.5);
  return numbers;
}

/// The identity, and with the entry (i, i) changed to `number`.
template <class Scalar>
algebra::Invertible<Scalar> scaled_coordinate(Index size, Index i, Scalar number) {
  algebra::Invertible<Scalar> element{Matrix<Scalar>::Identity(size, size),
                                      Matrix<Scalar>::Identity(size, size)};
  element.matrix(i, i) = number;
  element.inverse(i, i) = 1 / number;
  return element;
}

}}}  // namespace symopt::detail
