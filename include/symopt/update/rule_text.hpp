// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/group/group_text.hpp>
#include <symopt/normalization/pipeline.hpp>
#include <symopt/type_name.hpp>
#include <symopt/update/block_step.hpp>

#include <boost/hana/for_each.hpp>
#include <boost/hana/unpack.hpp>

#include <string>
#include <utility>

// Rules as plans, reports and files print them.
namespace symopt { inline namespace SYMOPT_ABI { namespace detail {

inline std::string stage_text(Project) {
  return "P";
}
template <std::size_t i, class Map>
std::string stage_text(Stage<i, Map>) {
  return type_name<Map>();
}

template <class Projection, class... Maps>
std::string pipeline_text() {
  std::string text;
  hana::for_each(derive_steps<Projection, Maps...>(std::index_sequence_for<Maps...>{}),
                 [&](auto stage) { text += (text.empty() ? "" : " > ") + stage_text(stage); });
  return text;
}

/// What the rule does: the stages of an update in the order of their application, "P > RowNorm > P"; the type
/// of another rule.
template <class Rule>
std::string rule_text(const Rule& rule) {
  if constexpr (requires { rule.normalization(); }) {
    return hana::unpack(stages_of(rule.normalization()), []<class... Maps>(const Maps&...) {
      return pipeline_text<projection_of_t<Rule>, Maps...>();
    });
  } else {
    return type_name<Rule>();
  }
}

/// The polar method that the rule chooses for blocks of a shape: "Zolotarev, 4 terms". Empty for a rule without
/// one, or whose method does not choose.
template <class Map>
std::string method_text([[maybe_unused]] const Map& map, [[maybe_unused]] Shape shape) {
  std::string text;
  if constexpr (requires { map.method_for(shape); }) {
    text = map.method_for(shape);
  } else if constexpr (requires { stages_of(map.normalization()); }) {
    hana::for_each(stages_of(map.normalization()), [&](const auto& stage) {
      if (text.empty()) text = method_text(stage, shape);
    });
  } else if constexpr (requires { map.normalization.validate(); }) {
    text = method_text(map.normalization, shape);
  }
  return text;
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

}}}  // namespace symopt::detail
