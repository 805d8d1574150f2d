// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/normalization/pipeline.hpp>
#include <symopt/update/block_step.hpp>

#include <boost/hana/for_each.hpp>
#include <boost/hana/unpack.hpp>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

// Types as a plan prints them.
namespace symopt { inline namespace SYMOPT_ABI { namespace detail {

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

/// A type's name, as a compiler spells it, without namespaces, enclosing classes and functions:
/// "DualNorm<Spectral>". An argument list that is left empty, because it is all defaults, is left out. A
/// lambda is "lambda".
inline std::string short_name(std::string_view spelled) {
  std::string name;
  std::vector<std::size_t> begins{0};  // where in `name` the type begins, and the argument in it, and so on
  const auto closing = [&](std::size_t i) {
    for (int depth = 0; i < spelled.size(); ++i) {
      const char c = spelled[i];
      depth += c == '(' || c == '{' || c == '[' ? 1 : 0;
      depth -= c == ')' || c == '}' || c == ']' ? 1 : 0;
      if (depth == 0) return i;
    }
    return i;
  };
  for (std::size_t i = 0; i < spelled.size(); ++i) {
    const char c = spelled[i];
    if (spelled.substr(i).starts_with("<lambda(")) {  // GCC's "<lambda(int)>"
      name += "lambda";
      i = closing(i + 7) + 1;
    } else if (c == '(' || c == '{' || c == '[') {
      if (spelled.substr(i).starts_with("(lambda ")) name += "lambda";  // Clang's "(lambda at file:1:2)"
      i = closing(i);
    } else if (c == ':') {
      name.resize(begins.back());
    } else if (c == '<') {
      name += c;
      begins.push_back(name.size());
    } else if (c == '>') {
      name += c;
      if (begins.size() > 1) begins.pop_back();
    } else if (c == ',') {
      name += ", ";
      begins.back() = name.size();
    } else if (c != ' ') {
      name += c;
    }
  }
  for (std::size_t empty = 0; (empty = name.find("<>")) != std::string::npos;) name.erase(empty, 2);
  return name;
}

template <class T>
std::string type_name() {
  return short_name(spelled_name<T>());
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
