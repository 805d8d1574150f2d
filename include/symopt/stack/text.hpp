// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/normalization/pipeline.hpp>
#include <symopt/update/block_step.hpp>

#include <boost/hana/for_each.hpp>
#include <boost/hana/unpack.hpp>

#include <string>
#include <string_view>
#include <utility>

// Types as a plan prints them.
namespace symopt::detail {

/// The name of T as the compiler spells it.
template <class T>
constexpr std::string_view spelled_name() {
#ifdef _MSC_VER
  constexpr std::string_view text = __FUNCSIG__;
  constexpr std::size_t begin = text.find("spelled_name<") + 13;
  return text.substr(begin, text.rfind(">(") - begin);
#else
  // GCC: "... [with T = X; std::string_view = ...]"; Clang: "... [T = X]".
  constexpr std::string_view text = __PRETTY_FUNCTION__;
  constexpr std::size_t begin = text.find("T = ") + 4;
  constexpr std::size_t semicolon = text.find(';', begin);
  constexpr std::size_t end = semicolon == std::string_view::npos ? text.rfind(']') : semicolon;
  return text.substr(begin, end - begin);
#endif
}

/// The name of T without namespaces, enclosing classes and functions: "DualNorm<Spectral>". An argument list
/// that the compiler leaves empty, because it is all defaults, is left out.
template <class T>
std::string type_name() {
  std::string name;
  std::string word;
  int parentheses = 0;
  for (const char c : std::string(spelled_name<T>()) + '\0') {
    parentheses += (c == '(' || c == '{') ? 1 : 0;
    if (parentheses > 0) {
      parentheses -= (c == ')' || c == '}') ? 1 : 0;
    } else if (c == ':') {
      word.clear();
    } else if (c == '<' || c == '>' || c == ',' || c == '\0') {
      name += word;
      word.clear();
      if (c != '\0') name += c;
      if (c == ',') name += ' ';
    } else if (c != ' ') {
      word += c;
    }
  }
  for (std::size_t empty = 0; (empty = name.find("<>")) != std::string::npos;) name.erase(empty, 2);
  return name;
}

inline std::string families_text(const SideFamilies& side) {
  if (side.rotations) return "O";
  if (side.block_rotations > 0) return "O(" + std::to_string(side.block_rotations) + ") per head";
  if (side.swaps) return side.signs ? "B" : "S";
  return side.is_linear() ? "other" : "1";
}

/// "S x O + shift": the linear factors of the rows and of the columns (O orthogonal, S permutations, B signed
/// permutations, 1 none), then the shifts.
inline std::string group_text(const Families& families) {
  std::string text = families_text(families.left) + " x " + families_text(families.right);
  if (families.left.translations) text += " + shift";
  if (families.right.translations) text += " + column shift";
  return text;
}

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

}  // namespace symopt::detail
