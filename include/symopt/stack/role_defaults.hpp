// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/parameter/named_groups.hpp>
#include <symopt/update/adamw.hpp>
#include <symopt/update/options.hpp>
#include <symopt/update/update.hpp>

#include <boost/hana/at_key.hpp>
#include <boost/hana/contains.hpp>
#include <boost/hana/map.hpp>
#include <boost/hana/pair.hpp>
#include <boost/hana/type.hpp>

namespace symopt::inline SYMOPT_ABI {

/// What a parameter class gets when nothing else is said: its rule, and the options.
template <class Rule>
struct RoleDefault {
  using rule_type = Rule;    ///< default-constructed where no rule is given
  OptimizerOptions options;  ///< used as a whole where none are given
};

/// The defaults of all parameter classes, the one place where they are. The rules are those that the classes'
/// groups derive. The rates are those that a search found for the language model of
/// examples/language_model, 1.3 million parameters (docs/experiments.md): a place to start from, not a
/// recommendation for another model.
inline const auto role_defaults = hana::make_map(
    hana::make_pair(hana::type_c<HiddenMatrix>,
                    RoleDefault<Update<HiddenMatrix>>{{.learning_rate = 0.0035, .scale = Scale::match_rms}}),
    hana::make_pair(hana::type_c<Embedding>, RoleDefault<Update<Embedding>>{{.learning_rate = 0.2}}),
    hana::make_pair(hana::type_c<TiedEmbedding>, RoleDefault<Update<TiedEmbedding>>{{.learning_rate = 0.05}}),
    hana::make_pair(hana::type_c<LmHead>, RoleDefault<Update<LmHead>>{{.learning_rate = 0.05}}),
    hana::make_pair(hana::type_c<SwigluInput>, RoleDefault<Update<SwigluInput>>{{.learning_rate = 0.005}}),
    hana::make_pair(hana::type_c<SwigluOutput>, RoleDefault<Update<SwigluOutput>>{{.learning_rate = 0.005}}),
    hana::make_pair(hana::type_c<Router>, RoleDefault<Update<Router>>{{.learning_rate = 0.0015}}),
    hana::make_pair(hana::type_c<AdamW>, RoleDefault<AdamW>{{.learning_rate = 0.003}}));

namespace detail {

/// Any other group gets its derived update, any other rule itself, with the options of OptimizerOptions.
template <class T>
auto role_default_of() {
  if constexpr (decltype(hana::contains(role_defaults, hana::type_c<T>))::value) {
    return hana::at_key(role_defaults, hana::type_c<T>);
  } else if constexpr (SymmetryGroup<T>) {
    return RoleDefault<Update<T>>{};
  } else {
    static_assert(StatelessRule<T, float> || StatefulRule<T, float> || StatelessRule<T, double> ||
                      StatefulRule<T, double>,
                  "a role is a parameter class (LmHead, or a group of your own) or a rule: callable on a "
                  "matrix, returning one of the same scalar and shape, or with a State and "
                  "operator()(weights, gradient, state, direction); see docs/adding-a-group.md and "
                  "docs/adding-a-rule.md");
    return RoleDefault<T>{};
  }
}

}  // namespace detail

/// The rule of a parameter class: the update that its group derives. A rule stands for itself.
template <class T>
using role_rule_t = typename decltype(detail::role_default_of<T>())::rule_type;

/// The options that a parameter class has when none are given.
template <class T>
OptimizerOptions default_options() {
  return detail::role_default_of<T>().options;
}

}  // namespace symopt
