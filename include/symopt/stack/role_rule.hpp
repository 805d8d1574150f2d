// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/derive/update.hpp>
#include <symopt/group/named_groups.hpp>
#include <symopt/optimizer/rule.hpp>

#include <concepts>

namespace symopt { inline namespace SYMOPT_ABI { namespace detail {

template <class T, class... Classes>
concept OneOf = (... || std::same_as<T, Classes>);

/// The parameter classes of named_groups.hpp, and groups of your own. Only these are asked whether they are
/// groups, which compiles the members of all their elements.
template <class T>
concept ParameterClass =
    OneOf<T, HiddenMatrix, Embedding, TiedEmbedding, LmHead, SwigluInput, SwigluOutput, Router> ||
    SymmetryGroup<T>;

template <class T>
struct RoleRule {
  static_assert(StatelessRule<T, float> || StatefulRule<T, float> || StatelessRule<T, double> ||
                    StatefulRule<T, double>,
                "a role is a parameter class (LmHead, or a group of your own) or a rule: callable on a "
                "matrix, returning one of the same scalar and shape, or with a State and "
                "operator()(weights, gradient, state, direction); see docs/adding-a-group.md and "
                "docs/adding-a-rule.md");
  using type = T;
};
template <ParameterClass T>
struct RoleRule<T> {
  using type = Update<T>;
};

/// The rule of a parameter class: the update that its group derives. A rule stands for itself.
template <class T>
using role_rule_t = typename detail::RoleRule<T>::type;

}  // namespace detail

}}  // namespace symopt
