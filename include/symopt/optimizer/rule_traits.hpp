// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/derive/pipeline.hpp>
#include <symopt/group/group_text.hpp>
#include <symopt/memory/block_view.hpp>
#include <symopt/normalization/root_mean_square.hpp>
#include <symopt/normalization/scale_free.hpp>
#include <symopt/optimizer/options.hpp>
#include <symopt/optimizer/rule.hpp>
#include <symopt/type_name.hpp>

#include <boost/hana/back.hpp>
#include <boost/hana/concept/struct.hpp>
#include <boost/hana/core/to.hpp>
#include <boost/hana/for_each.hpp>
#include <boost/hana/fuse.hpp>

#include <array>
#include <charconv>
#include <concepts>
#include <cstddef>
#include <optional>
#include <string>
#include <type_traits>

// The facts of a rule that blocks, plans, files and checks use, whatever its type.
namespace symopt { inline namespace SYMOPT_ABI { namespace detail {

template <class Map>
constexpr auto projection_of() {
  if constexpr (requires { typename Map::projection; }) {
    return typename Map::projection{};
  } else if constexpr (requires { typename Map::group; }) {
    return horizontal_projection_t<typename Map::group>{};
  } else {
    return HorizontalProjection<>{};
  }
}

/// The projection that a map carries, or that its group asks for; none for another map.
template <class Map>
using projection_of_t = decltype(projection_of<Map>());

/// The stages of a rule as a tuple: an update and a composition have several, any other rule is one itself.
template <class Rule>
constexpr auto stages_of_rule(const Rule& rule) {
  if constexpr (requires { stages_of(rule.normalization()); }) {
    return stages_of(rule.normalization());
  } else {
    return stages_of(rule);
  }
}

/// visit(stage) for the stages of a rule, in the order of their application.
template <class Rule, class Visit>
void for_each_stage(const Rule& rule, Visit&& visit) {
  hana::for_each(stages_of_rule(rule), visit);
}

/// Tests whether test(std::type_identity<Stage>{}) holds for the type of some stage.
template <class Rule, class Test>
constexpr bool any_stage(Test test) {
  using Stages = decltype(stages_of_rule(std::declval<const Rule&>()));
  return [test]<class... Stage>(const hana::tuple<Stage...>*) {
    return (test(std::type_identity<Stage>{}) || ...);
  }(static_cast<const Stages*>(nullptr));
}

/// A rule whose direction has a known nominal size: its last stage states it, or a rule of your own by a
/// member `double root_mean_square(Shape) const`.
template <class Rule>
inline constexpr bool states_root_mean_square = has_root_mean_square<Rule>() || [] {
  using Last = decltype(hana::back(stages_of_rule(std::declval<const Rule&>())));
  return has_root_mean_square<std::remove_cvref_t<Last>>();
}();

/// The nominal root mean square of the entries of a rule's direction for a block of that shape: that of its
/// last stage, the means that a projection takes away after it left out of account.
template <class Rule>
requires states_root_mean_square<Rule>
double root_mean_square_of(const Rule& rule, Shape shape) {
  if constexpr (has_root_mean_square<Rule>()) {
    return root_mean_square_of_stage(rule, shape, shape);
  } else {
    using Projection = projection_of_t<Rule>;
    const Shape span{shape.rows - (Projection::projects(Side::left) ? 1 : 0),
                     shape.cols - (Projection::projects(Side::right) ? 1 : 0)};
    return root_mean_square_of_stage(hana::back(stages_of_rule(rule)), shape, span);
  }
}

/// The nominal root mean square of the entries of a rule's direction, where it is stated.
template <class Rule>
std::optional<double> nominal_size([[maybe_unused]] const Rule& rule, [[maybe_unused]] Shape shape) {
  if constexpr (states_root_mean_square<Rule>) return root_mean_square_of(rule, shape);
  return std::nullopt;
}

/// The factor of a scale on the direction of a rule.
template <class Rule>
double scale_factor_of(const Rule& rule, Scale scale, Shape block) {
  const bool is_empty = block.rows == 0 || block.cols == 0;
  if constexpr (states_root_mean_square<Rule>)
    if (scale == Scale::match_rms && !is_empty)
      return scale_factor(scale, block, root_mean_square_of(rule, block));
  return scale_factor(scale, block, 0);
}

/// A rule whose step is a kernel with scratch: that throws nothing, whatever a call of the rule may do.
template <class Rule, class Scalar>
concept HasStepMemory = requires {
  typename Rule::template StepMemory<Scalar, Orientation::along_rows>;
};

template <class Rule, class Scalar>
constexpr bool may_throw() {
  if constexpr (HasStepMemory<Rule, Scalar>) {
    return false;
  } else if constexpr (StatefulRule<Rule, Scalar>) {
    using State = typename Rule::template State<Scalar>;
    return !noexcept(std::declval<const Rule&>()(std::declval<const Matrix<Scalar>&>(),
                                                 std::declval<const Matrix<Scalar>&>(),
                                                 std::declval<State&>(), std::declval<Matrix<Scalar>&>()));
  } else {
    return any_stage<Rule>([]<class Stage>(std::type_identity<Stage>) { return !InPlaceMap<Stage, Scalar>; });
  }
}

/// A rule whose step may throw, so that what it changes is kept to be put back: a rule with a state that is
/// not declared noexcept, and a map with a stage that is only callable. A map that works in place is not to
/// throw: it has validate() for that.
template <class Rule, class Scalar>
inline constexpr bool rule_may_throw = may_throw<Rule, Scalar>();

/// Tests whether a rule is of degree 0: its direction does not depend on the scale of the gradient. One stage
/// of degree 0 is enough: those after it never see the scale, and the shipped ones before it hand on a
/// multiple.
template <class Rule>
constexpr bool is_scale_free_rule() {
  return any_stage<Rule>([]<class Stage>(std::type_identity<Stage>) { return is_scale_free_v<Stage>; });
}

/// Tests whether a rule treats every entry alike, and so may be given a tensor of one dimension.
template <class Rule>
constexpr bool acts_entrywise() {
  if constexpr (StatesLargestGroup<Rule>) {
    return claimed_families<Rule> == Families{signed_permutations, signed_permutations};
  } else {
    return false;
  }
}

/// The families of the group under which a rule maps momenta; those of the trivial group where it claims
/// none, and nothing for a rule with a state of its own.
template <class Rule, class Scalar>
constexpr std::optional<Families> families_of_rule() {
  if constexpr (StatefulRule<Rule, Scalar>) {
    return std::nullopt;
  } else if constexpr (requires { typename Rule::group; }) {
    return families_of<typename Rule::group>;
  } else if constexpr (StatesLargestGroup<Rule>) {
    return claimed_families<Rule>;
  } else {
    return Families{};
  }
}

/// The group of the rule's update, or the largest group that it claims: "LmHead: S x O + shift".
template <class Rule>
std::string rule_group_text() {
  if constexpr (requires { typename Rule::group; }) {
    return type_name<typename Rule::group>() + ": " + group_text(families_of<typename Rule::group>);
  } else if constexpr (StatesLargestGroup<Rule>) {
    return group_text(claimed_families<Rule>);
  } else {
    return "unclaimed";
  }
}

/// A map's type, or the name that it has for itself: a type whose arguments have defaults that depend on
/// others is spelled in one way by one compiler and in another by the next, and names are in files.
template <class Map>
std::string map_name() {
  if constexpr (requires {
                  { Map::name() } -> std::convertible_to<std::string>;
                }) {
    return Map::name();
  } else {
    return type_name<Map>();
  }
}

/// A rule in one line: the stages of an update with the projections between them, "P > RowNorm > P"; the name
/// of another rule, with the projections around it that it says it has.
template <class Rule>
std::string rule_text(const Rule& rule) {
  if constexpr (requires { rule.normalization(); }) {
    using Projection = projection_of_t<Rule>;
    std::string text = Projection::is_identity ? "" : "P";
    bool is_horizontal = true;
    for_each_stage(rule, [&]<class Stage>(const Stage&) {
      text += (text.empty() ? "" : " > ") + map_name<Stage>();
      is_horizontal = stays_horizontal<Projection, Stage>();
      if (!is_horizontal) text += " > P";
    });
    return Projection::is_identity || !is_horizontal ? text : text + " > P";
  } else if constexpr (requires { requires !Rule::projection::is_identity; }) {
    return "P > " + map_name<Rule>() + " > P";
  } else {
    return map_name<Rule>();
  }
}

/// The polar method that a rule chooses for blocks of a shape: "minimax, 3 terms". Empty for a rule without
/// one, or whose method does not choose.
template <class Rule>
std::string method_text(const Rule& rule, Shape shape) {
  std::string text;
  for_each_stage(rule, [&]<class Stage>([[maybe_unused]] const Stage& stage) {
    if constexpr (requires { stage.method_for(shape); })
      if (text.empty()) text = stage.method_for(shape);
  });
  return text;
}

struct AnyOption {
  void operator()(const char*, auto&) const {}
};
template <class Map>
concept ShowsOptions = requires(Map& map) {
  map.options(AnyOption{});
};

/// Adds "name=value" to a list, with the fewest digits that give the same number back; 0 or 1 for a bool.
template <class Value>
void add_option(const std::string& name, Value value, std::string& text) {
  std::array<char, 32> digits;
  const auto end = std::to_chars(digits.begin(), digits.end(), +value).ptr;  // + makes an int of a bool
  text += (text.empty() ? "" : ", ") + name + "=";
  text.append(digits.begin(), end);
}

/// Adds "Name.option=value" for the options of a map, and those of the maps among them.
template <class Map>
void add_options(Map map, std::string& text) {
  const auto add = [&]<class Value>(const char* name, const Value& value) {
    if constexpr (std::is_arithmetic_v<Value>) {
      add_option(map_name<Map>() + "." + name, value, text);
    } else {
      add_options(value, text);
    }
  };
  if constexpr (ShowsOptions<Map>) {
    map.options(add);
  } else if constexpr (hana::Struct<Map>::value) {
    hana::for_each(
        map, hana::fuse([&](auto name, const auto& value) { add(hana::to<const char*>(name), value); }));
  }
}

/// The options of a rule that decide what its state means: those that its stages show, by a member
/// options(field) or adapted to Boost.Hana. How a polar factor is computed is not among them.
template <class Rule>
std::string rule_options_text(const Rule& rule) {
  std::string text;
  for_each_stage(rule, [&](const auto& stage) { add_options(stage, text); });
  return text;
}

/// Throws Error that names the parameter unless the options suit a rule.
[[gnu::cold]] inline void validate_for_rule(const OptimizerOptions& options, bool has_projection,
                                            bool keeps_state, bool has_size) {
  validate(options);
  require(options.decay == Decay::all || has_projection, {options.parameter},
          "decay is horizontal but the rule's group has no shift; use Decay::all");
  const OptimizerOptions defaults;
  require(!keeps_state || (options.momentum == defaults.momentum && !options.nesterov &&
                           options.momentum_convention == defaults.momentum_convention),
          {options.parameter}, [&] {
            return "the options say " + momentum_text(options) +
                   ", but this rule keeps its own momentum: set that among the options of the rule, as "
                   "AdamW's beta1 (0 for none), and leave momentum, momentum_convention and nesterov out";
          });
  require(
      options.scale != Scale::match_rms || has_size, {options.parameter},
      "Scale::match_rms needs the size of the rule's direction, and this rule does not state it; give it a "
      "member `double root_mean_square(Shape) const`, or take another scale");
}
template <class Rule, class Scalar>
void validate_for_rule(const OptimizerOptions& options) {
  validate_for_rule(options, !projection_of_t<Rule>::is_identity, StatefulRule<Rule, Scalar>,
                    states_root_mean_square<Rule>);
  require_factors_in_range<Scalar>(options, 1, 1);
}

}}}  // namespace symopt::detail
