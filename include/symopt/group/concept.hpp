// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/group/families.hpp>
#include <symopt/group/random.hpp>
#include <symopt/matrix.hpp>

#include <concepts>
#include <vector>

namespace symopt { inline namespace SYMOPT_ABI {

namespace detail {

/// A group that states a shipped group which contains it.
template <class G>
concept StatesBound = requires {
  typename G::bound;
};

/// A shipped group states its generator families.
template <class G>
concept StatesFamilies = requires {
  { G::families } -> std::convertible_to<Families>;
};

/// The generator families of a group. A shipped group states them; a user's group is taken for its
/// bound, so whatever holds under the bound holds under the group (sound, perhaps not complete).
template <class G>
struct FamiliesOf {
  static_assert(
      StatesFamilies<G>,
      "a symmetry group is asked for here: a parameter class such as LmHead, a product of factors, or a "
      "group of your own. A rule is used as it is: Optimizer<AdamW>; see docs/adding-a-group.md");
  static constexpr Families value = [] {
    if constexpr (StatesFamilies<G>) return Families(G::families);
    return Families{};
  }();
};

template <StatesBound G>
struct FamiliesOf<G> {
  static constexpr Families value = FamiliesOf<typename G::bound>::value;
};

}  // namespace detail

/// The generator families of a group; of its bound for a user's group.
template <class G>
inline constexpr Families families_of = detail::FamiliesOf<G>::value;

/// The element type of a group, for a scalar.
template <class G, class Scalar>
using element_t = typename G::template Element<Scalar>;

namespace detail {

/// A group has elements that can be composed, inverted and drawn.
template <class G, class Scalar>
concept HasElements = requires(const element_t<G, Scalar>& g, Shape shape, MinimalEngine& engine) {
  { G::template identity<Scalar>(shape) } -> std::same_as<element_t<G, Scalar>>;
  { G::compose(g, g) } -> std::same_as<element_t<G, Scalar>>;
  { G::inverse(g) } -> std::same_as<element_t<G, Scalar>>;
  { G::template random<Scalar>(shape, engine) } -> std::same_as<element_t<G, Scalar>>;
  { G::template generators<Scalar>(shape) } -> std::same_as<std::vector<element_t<G, Scalar>>>;
};

/// A group acts in place on the three kinds of matrix that an optimizer handles.
template <class G, class Scalar>
concept ActsOnBlocks = requires(const element_t<G, Scalar>& g, MatrixRef<Scalar> block) {
  G::act_on_weights(g, block);
  G::act_on_gradient(g, block);
  G::act_on_update(g, block);
};

}  // namespace detail

/// A symmetry group of a weight block: a stateless policy of static functions.
///
/// Minimal definition, for Scalar double and float (`Shape` is the block's size):
///   Element<Scalar>                                 one element, with a member type scalar_type
///   identity<Scalar>(shape), random<Scalar>(shape, engine), generators<Scalar>(shape)
///   compose(g, h)                                   first h, then g
///   inverse(g)
///   act_on_weights(g, W)                            W <- A W B^T + T
///   act_on_gradient(g, G)                           G <- A^-T G B^-1, the contragredient action
///   act_on_update(g, U)                             U <- A U B^T, the linear part
///   families (shipped) or bound (a user's group: the smallest shipped group that contains it)
///   takes_empty_blocks                              optional, true where shapes without rows or columns
///                                                   have elements, too
///
/// Laws, for all g, h and every block:
///   act(compose(g, h), X) = act(g, act(h, X)) for the three actions
///   act(identity, X) = X;  act(inverse(g), act(g, X)) = X
///   <act_on_gradient(g, G), act_on_update(g, U)> = <G, U>
///   act_on_weights(g, W + U) - act_on_weights(g, W) = act_on_update(g, U)
/// generators() generate the group topologically: a rule is equivariant under the group when it is
/// under every generator.
///
/// Models: every header of this folder; named_groups.hpp has the parameter classes.
template <class G>
concept SymmetryGroup = detail::HasElements<G, double> && detail::HasElements<G, float> &&
    detail::ActsOnBlocks<G, double> && detail::ActsOnBlocks<G, float> && requires {
  { families_of<G> } -> std::convertible_to<Families>;
};

}}  // namespace symopt
