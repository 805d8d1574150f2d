// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/normalization/column_norm.hpp>
#include <symopt/normalization/pipeline.hpp>
#include <symopt/normalization/row_norm.hpp>
#include <symopt/reflection.hpp>
#include <symopt/update/rule_text.hpp>
#include <symopt/update/adamw.hpp>

#include <boost/hana/concept/struct.hpp>
#include <boost/hana/core/to.hpp>
#include <boost/hana/for_each.hpp>
#include <boost/hana/fuse.hpp>

#include <array>
#include <charconv>
#include <concepts>
#include <string>

template <class Map>
struct boost::hana::accessors_impl<Map, boost::hana::when<std::same_as<Map, symopt::AdamW>>> {
  static constexpr auto apply() {
    using symopt::detail::Member;
    return make_tuple(make_pair(BOOST_HANA_STRING("beta1"), Member<&Map::beta1>{}),
                      make_pair(BOOST_HANA_STRING("beta2"), Member<&Map::beta2>{}),
                      make_pair(BOOST_HANA_STRING("eps"), Member<&Map::eps>{}));
  }
};
template <class Map>
struct boost::hana::accessors_impl<Map, boost::hana::when<std::same_as<Map, symopt::RowNorm>>> {
  static constexpr auto apply() {
    using symopt::detail::Member;
    return make_tuple(make_pair(BOOST_HANA_STRING("eps"), Member<&Map::eps>{}));
  }
};
template <class Map>
struct boost::hana::accessors_impl<Map, boost::hana::when<std::same_as<Map, symopt::ColumnNorm>>> {
  static constexpr auto apply() {
    using symopt::detail::Member;
    return make_tuple(make_pair(BOOST_HANA_STRING("eps"), Member<&Map::eps>{}));
  }
};

namespace symopt { inline namespace SYMOPT_ABI { namespace detail {

/// Adds "Name.option=value" for the options of a map that is adapted to Boost.Hana; DualNorm's alpha too.
template <class Map>
void add_options(const Map& map, std::string& text) {
  const auto add = [&](const std::string& option, const auto& value) {
    std::array<char, 32> digits;  // the fewest that give the same number back
    const auto end = std::to_chars(digits.begin(), digits.end(), value).ptr;
    text += (text.empty() ? "" : ", ") + type_name<Map>() + "." + option + "=";
    text.append(digits.begin(), end);
  };
  if constexpr (hana::Struct<Map>::value) {
    hana::for_each(
        map, hana::fuse([&](auto name, const auto& value) { add(hana::to<const char*>(name), value); }));
  } else if constexpr (requires {
                         { map.alpha } -> std::convertible_to<double>;
                         map.normalization;
                       }) {
    add("alpha", map.alpha);
    add_options(map.normalization, text);
  } else if constexpr (requires {
                         map.options().memory;
                         map.rule();
                       }) {  // an average over frames
    add("memory", map.options().memory);
    add("tie", map.options().tie);
    add_options(map.rule(), text);
  }
}

/// The options of a rule that decide what its state means: those of AdamW, of the stages of an update, and of
/// a rule of your own that is adapted to Boost.Hana. How a polar factor is computed is not among them.
template <class Rule>
std::string rule_options_text(const Rule& rule) {
  std::string text;
  if constexpr (requires { stages_of(rule.normalization()); }) {
    hana::for_each(stages_of(rule.normalization()), [&](const auto& stage) { add_options(stage, text); });
  } else {
    hana::for_each(stages_of(rule), [&](const auto& stage) { add_options(stage, text); });
  }
  return text;
}

}}}  // namespace symopt::detail
