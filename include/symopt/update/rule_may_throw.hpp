// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/normalization/pipeline.hpp>
#include <symopt/update/rule.hpp>

namespace symopt { inline namespace SYMOPT_ABI { namespace detail {

/// False for a map that works in place, which is not to throw: it has validate() for that.
template <class Map, class Scalar>
constexpr bool map_may_throw() {
  if constexpr (requires(const Map& map) { stages_of(map.normalization()); }) {
    using Stages = decltype(stages_of(std::declval<const Map&>().normalization()));
    return []<class... Stage>(const hana::tuple<Stage...>*) {
      return (map_may_throw<Stage, Scalar>() || ...);
    }(static_cast<const Stages*>(nullptr));
  } else if constexpr (requires(const Map& map) { map.rule(); }) {  // an average of another rule
    return true;
  } else {
    return !InPlaceMap<Map, Scalar>;
  }
}

template <class Rule, class Scalar>
constexpr bool rule_may_throw_of() {
  if constexpr (StatefulRule<Rule, Scalar>) {
    using State = typename Rule::template State<Scalar>;
    return !noexcept(std::declval<const Rule&>()(std::declval<const Matrix<Scalar>&>(),
                                                 std::declval<const Matrix<Scalar>&>(),
                                                 std::declval<State&>(), std::declval<Matrix<Scalar>&>()));
  } else {
    return map_may_throw<Rule, Scalar>();
  }
}

/// Whether a step under the rule may throw, so that what it changes is kept to be put back: a rule with a
/// state that is not declared noexcept, and a map that is only callable.
template <class Rule, class Scalar>
inline constexpr bool rule_may_throw = rule_may_throw_of<Rule, Scalar>();

}}}  // namespace symopt::detail
