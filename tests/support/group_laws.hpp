// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "support/any_group.hpp"

#include <doctest/doctest.h>

#include <initializer_list>

// The laws of symopt/group/concept.hpp as numbers: each function returns the largest relative error over
// the generators and random elements of a group, in units of the roundoff of the group's scalar.
namespace symopt_test {

inline bool block_is_empty(Shape shape) {
  return shape.rows == 0 || shape.cols == 0;
}

namespace detail {

/// The three actions on the same block.
inline double actions_differ(const AnyGroup& group, const AnyGroup::Element& g, const AnyGroup::Element& h,
                             const Matrix<double>& block) {
  Worst worst;
  worst.add(relative_error(group.on_weights(g, block), group.on_weights(h, block)));
  worst.add(relative_error(group.on_gradient(g, block), group.on_gradient(h, block)));
  worst.add(relative_error(group.on_update(g, block), group.on_update(h, block)));
  return worst.value();
}

}  // namespace detail

/// act(identity, X) = X, exactly.
inline double identity_error(const AnyGroup& group, Shape shape, Random& random) {
  const Matrix<double> block = group.rounded(gaussian_block(shape, random));
  const AnyGroup::Element one = group.identity(shape);
  Worst worst;
  worst.add(relative_error(group.on_weights(one, block), block));
  worst.add(relative_error(group.on_gradient(one, block), block));
  worst.add(relative_error(group.on_update(one, block), block));
  return worst.value() / group.unit();
}

/// act(compose(g, h), X) = act(g, act(h, X)).
inline double composition_error(const AnyGroup& group, Shape shape, Random& random) {
  const auto elements = sample_elements(group, shape, random);
  Worst worst;
  for (const auto& g : elements) {
    const auto h = group.random(shape, random);
    const auto gh = group.compose(g, h);
    const Matrix<double> block = gaussian_block(shape, random);
    worst.add(relative_error(group.on_weights(gh, block), group.on_weights(g, group.on_weights(h, block))));
    worst.add(
        relative_error(group.on_gradient(gh, block), group.on_gradient(g, group.on_gradient(h, block))));
    worst.add(relative_error(group.on_update(gh, block), group.on_update(g, group.on_update(h, block))));
  }
  return worst.value() / group.unit();
}

/// (g h) k and g (h k) act alike.
inline double associativity_error(const AnyGroup& group, Shape shape, Random& random) {
  const auto elements = sample_elements(group, shape, random);
  Worst worst;
  for (const auto& g : elements) {
    const auto h = group.random(shape, random);
    const auto k = group.random(shape, random);
    worst.add(detail::actions_differ(group, group.compose(group.compose(g, h), k),
                                     group.compose(g, group.compose(h, k)), gaussian_block(shape, random)));
  }
  return worst.value() / group.unit();
}

/// act(inverse(g), act(g, X)) = X and compose(inverse(g), g), compose(g, inverse(g)) act as the identity.
inline double inverse_error(const AnyGroup& group, Shape shape, Random& random) {
  const auto elements = sample_elements(group, shape, random);
  const auto one = group.identity(shape);
  Worst worst;
  for (const auto& g : elements) {
    const auto back = group.inverse(g);
    const Matrix<double> block = gaussian_block(shape, random);
    worst.add(relative_error(group.on_weights(back, group.on_weights(g, block)), block));
    worst.add(relative_error(group.on_gradient(back, group.on_gradient(g, block)), block));
    worst.add(relative_error(group.on_update(back, group.on_update(g, block)), block));
    worst.add(detail::actions_differ(group, group.compose(back, g), one, block));
    worst.add(detail::actions_differ(group, group.compose(g, back), one, block));
  }
  return worst.value() / group.unit();
}

/// <act_on_gradient(g, G), act_on_update(g, U)> = <G, U>, relative to the norms of the two.
inline double pairing_error(const AnyGroup& group, Shape shape, Random& random) {
  Worst worst;
  for (const auto& g : sample_elements(group, shape, random)) {
    const Matrix<double> gradient = gaussian_block(shape, random);
    const Matrix<double> update = gaussian_block(shape, random);
    const double before = gradient.cwiseProduct(update).sum();
    const double after = group.on_gradient(g, gradient).cwiseProduct(group.on_update(g, update)).sum();
    const double scale = gradient.norm() * update.norm();
    worst.add(block_is_empty(shape) ? std::abs(after - before) : std::abs(after - before) / scale);
  }
  return worst.value() / group.unit();
}

/// act_on_weights(g, W + U) - act_on_weights(g, W) = act_on_update(g, U).
inline double tangent_error(const AnyGroup& group, Shape shape, Random& random) {
  Worst worst;
  for (const auto& g : sample_elements(group, shape, random)) {
    const Matrix<double> weights = gaussian_block(shape, random);
    const Matrix<double> update = gaussian_block(shape, random);
    const Matrix<double> before = group.on_weights(g, weights);
    const Matrix<double> after = group.on_weights(g, weights + update);
    worst.add(error_on_scale(after - before, group.on_update(g, update), before.norm() + after.norm()));
  }
  return worst.value() / group.unit();
}

/// Gradients and updates move linearly.
inline double linearity_error(const AnyGroup& group, Shape shape, Random& random) {
  Worst worst;
  for (const auto& g : sample_elements(group, shape, random)) {
    const Matrix<double> x = gaussian_block(shape, random);
    const Matrix<double> y = gaussian_block(shape, random);
    const auto add = [&](const auto& act) {
      const Matrix<double> moved_x = act(x);
      const Matrix<double> moved_y = act(y);
      worst.add(error_on_scale(act(x - 2 * y), moved_x - 2 * moved_y, moved_x.norm() + 2 * moved_y.norm()));
    };
    add([&](const Matrix<double>& block) { return group.on_gradient(g, block); });
    add([&](const Matrix<double>& block) { return group.on_update(g, block); });
  }
  return worst.value() / group.unit();
}

/// The smallest change that a generator makes to the weights: every generator must move something. Infinite
/// for a group without generators.
inline double smallest_motion(const AnyGroup& group, Shape shape, Random& random) {
  const Matrix<double> block = group.rounded(gaussian_block(shape, random));
  double smallest = infinity;
  for (const auto& g : group.generators(shape))
    smallest = std::min(smallest, relative_error(group.on_weights(g, block), block));
  return smallest;
}

/// All laws, asserted. Shapes: those that heads of one, two and three lines fill, and edges.
inline void check_group_laws(const AnyGroup& group) {
  constexpr double tolerance = 64;  // roundings
  CAPTURE(group.name());
  CAPTURE(default_seed);
  Random random(default_seed);
  for (const Shape shape : std::initializer_list<Shape>{
           {6, 6}, {12, 6}, {6, 12}, {1, 1}, {1, 5}, {5, 1}, {0, 6}, {6, 0}, {0, 0}}) {
    if (!group.fits(shape)) continue;
    CAPTURE(symopt::to_string(shape));
    CHECK(identity_error(group, shape, random) == 0);
    CHECK(composition_error(group, shape, random) <= tolerance);
    CHECK(associativity_error(group, shape, random) <= tolerance);
    CHECK(inverse_error(group, shape, random) <= tolerance);
    CHECK(pairing_error(group, shape, random) <= tolerance);
    CHECK(tangent_error(group, shape, random) <= tolerance);
    CHECK(linearity_error(group, shape, random) <= tolerance);
    if (!block_is_empty(shape)) CHECK(smallest_motion(group, shape, random) > 1e-3);
    if (shape.rows > 1 && shape.cols > 1)
      CHECK(group.generators(shape).empty() == (group.families() == symopt::Families{}));
  }
}

}  // namespace symopt_test
