// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/parameter/named_groups.hpp>
#include <symopt/update/adamw.hpp>
#include <symopt/update/options.hpp>
#include <symopt/update/update.hpp>

#include <concepts>

namespace symopt { inline namespace SYMOPT_ABI {

namespace detail {

template <class T, class... Classes>
concept OneOf = (... || std::same_as<T, Classes>);

/// The classes of named_groups.hpp, and groups of your own. Only these are asked whether they are groups,
/// which compiles the members of all their elements.
template <class T>
concept ParameterClass =
    OneOf<T, HiddenMatrix, Embedding, TiedEmbedding, LmHead, SwigluInput, SwigluOutput, Router> ||
    SymmetryGroup<T>;

inline constexpr double rate_of_adamw = 0.003;

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

}  // namespace detail

/// The rule of a parameter class: the update that its group derives. A rule stands for itself.
template <class T>
using role_rule_t = typename detail::RoleRule<T>::type;

/// The options that a parameter class has when none are given, used as a whole: those of OptimizerOptions for
/// a group or a rule of your own, and for the classes and rules here, which is the one place where they are,
/// rates that a search found for the language model of examples/language_model, 1.3 million parameters
/// (docs/experiments.md): a place to start from, not a recommendation for another model.
/// Second moments, Adaptive, take AdamW's.
///@{
template <class T>
OptimizerOptions default_options() {
  if constexpr (requires { typename T::moments_type; }) return {.learning_rate = detail::rate_of_adamw};
  return {};
}
template <>
inline OptimizerOptions default_options<HiddenMatrix>() {
  return {.learning_rate = 0.0035, .scale = Scale::match_rms};
}
template <>
inline OptimizerOptions default_options<Embedding>() {
  return {.learning_rate = 0.2};
}
template <>
inline OptimizerOptions default_options<TiedEmbedding>() {
  return {.learning_rate = 0.05};
}
template <>
inline OptimizerOptions default_options<LmHead>() {
  return {.learning_rate = 0.05};
}
template <>
inline OptimizerOptions default_options<SwigluInput>() {
  return {.learning_rate = 0.005};
}
template <>
inline OptimizerOptions default_options<SwigluOutput>() {
  return {.learning_rate = 0.005};
}
template <>
inline OptimizerOptions default_options<Router>() {
  return {.learning_rate = 0.0015};
}
template <>
inline OptimizerOptions default_options<AdamW>() {
  return {.learning_rate = detail::rate_of_adamw};
}
///@}

}}  // namespace symopt
