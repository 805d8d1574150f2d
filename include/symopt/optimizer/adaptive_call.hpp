// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/kernel/adaptive.hpp>
#include <symopt/optimizer/adaptive_state.hpp>

#include <algorithm>
#include <cmath>
#include <concepts>
#include <limits>
#include <type_traits>

// A step with second moments in plain loops, for whoever calls the rule itself; optimizers take the kernels.
namespace symopt { inline namespace SYMOPT_ABI { namespace detail {

/// Subtracts the mean of each of `count` lines of that many entries; entry k of line l is at(l, k).
void subtract_means(Index count, Index length, auto&& at) noexcept {
  for (Index l = 0; l < count; ++l) {
    double sum = 0;
    for (Index k = 0; k < length; ++k) sum += static_cast<double>(at(l, k));
    const double mean = sum / static_cast<double>(length);
    for (Index k = 0; k < length; ++k) {
      using Scalar = std::remove_cvref_t<decltype(at(l, k))>;
      at(l, k) = static_cast<Scalar>(static_cast<double>(at(l, k)) - mean);
    }
  }
}

template <class Projection, class Block>
void project(Block& block) noexcept {
  const Index rows = block.rows(), cols = block.cols();
  if constexpr (Projection::projects(Side::left))
    subtract_means(
        cols, rows, [&](Index j, Index i) -> auto& { return block.coeffRef(i, j); });
  if constexpr (Projection::projects(Side::right))
    subtract_means(
        rows, cols, [&](Index i, Index j) -> auto& { return block.coeffRef(i, j); });
}

/// The root mean square of entries whose squares may be out of range; 0 of none.
double root_mean_square(Index count, auto&& at) noexcept {
  double largest = 0, sum = 0;
  for (Index k = 0; k < count; ++k) largest = std::max(largest, std::abs(static_cast<double>(at(k))));
  if (!(largest > 0)) return largest;
  for (Index k = 0; k < count; ++k) {
    const double ratio = static_cast<double>(at(k)) / largest;
    sum += ratio * ratio;
  }
  return largest * std::sqrt(sum / static_cast<double>(count));
}

/// The state advances by one step, and the direction is that of the rule with the projection and moments.
template <class Projection, class Moments, class Scalar, class Direction>
void adaptive_call(const auto& gradient, AdaptiveState<Moments, Scalar>& state,
                   const kernel::AdamWCoefficients& own, Direction& direction) noexcept {
  const Index rows = gradient.rows(), cols = gradient.cols();
  for (Index i = 0; i < rows; ++i)
    for (Index j = 0; j < cols; ++j) direction.coeffRef(i, j) = gradient.coeff(i, j);
  project<Projection>(direction);

  const BlockView<Scalar> momentum = state.momentum_for(Orientation::along_rows);
  const auto roots = state.template root_lines_for<Orientation::along_rows>();
  const auto advance_root = [&](auto& root, double x) {
    root = static_cast<std::remove_reference_t<decltype(root)>>(
        kernel::next_root(static_cast<double>(root), x, own));
  };
  if constexpr (std::same_as<Moments, moments::Entries>) {
    for (Index i = 0; i < rows; ++i)
      for (Index j = 0; j < cols; ++j)
        advance_root(roots.row(i)[j], std::abs(static_cast<double>(direction.coeff(i, j))));
  } else if constexpr (std::same_as<Moments, moments::Rows>) {
    for (Index i = 0; i < rows; ++i)
      advance_root(roots[i], root_mean_square(cols, [&](Index j) { return direction.coeff(i, j); }));
  } else if constexpr (std::same_as<Moments, moments::Columns>) {
    for (Index j = 0; j < cols; ++j)
      advance_root(roots[j], root_mean_square(rows, [&](Index i) { return direction.coeff(i, j); }));
  } else {
    advance_root(*roots,
                 root_mean_square(rows * cols, [&](Index k) { return direction.coeff(k / cols, k % cols); }));
  }
  const auto root_of = [&](Index i, Index j) {
    if constexpr (std::same_as<Moments, moments::Entries>) return static_cast<double>(roots.row(i)[j]);
    if constexpr (std::same_as<Moments, moments::Rows>) return roots[i];
    if constexpr (std::same_as<Moments, moments::Columns>) return roots[j];
    if constexpr (std::same_as<Moments, moments::Block>) return *roots;
  };
  for (Index i = 0; i < rows; ++i)
    for (Index j = 0; j < cols; ++j) {
      Scalar& m = momentum.row(i)[j];
      m = Scalar(own.beta1) * m + Scalar(own.first_weight) * direction.coeff(i, j);
      if (std::abs(m) < std::numeric_limits<Scalar>::min()) m = 0;
      direction.coeffRef(i, j) = static_cast<Scalar>(static_cast<double>(m) * own.first_correction /
                                                     (root_of(i, j) * own.second_correction + own.eps));
    }
  project<Projection>(direction);
}

}}}  // namespace symopt::detail
