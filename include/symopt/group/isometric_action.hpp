// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/matrix.hpp>
#include <symopt/side.hpp>

namespace symopt { inline namespace SYMOPT_ABI {

/// The rows of the block for a group that acts on the left, its columns for one on the right: what
/// the group moves is always the rows of the result.
template <Side side>
auto lines_of(auto& block) {
  if constexpr (side == Side::left) {
    return MatrixRef<typename std::remove_cvref_t<decltype(block)>::Scalar>(block);
  } else {
    return block.transpose();
  }
}

/// For groups of orthogonal matrices: A^-T = A, so weights, gradients and updates move alike, by
/// `Group::act(element, lines)`.
template <class Group, Side side>
struct IsometricAction {
  template <class Element>
  static void act_on_update(const Element& g, MatrixRef<typename Element::scalar_type> block) {
    auto lines = lines_of<side>(block);
    Group::act(g, lines);
  }
  template <class Element>
  static void act_on_weights(const Element& g, MatrixRef<typename Element::scalar_type> block) {
    act_on_update(g, block);
  }
  template <class Element>
  static void act_on_gradient(const Element& g, MatrixRef<typename Element::scalar_type> block) {
    act_on_update(g, block);
  }
};

}}  // namespace symopt
