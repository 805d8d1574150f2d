// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/abi.hpp>

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

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

/// The name without the default method of a polar factor: "HeadSpectral<left, 4>" for "HeadSpectral<left, 4,
/// Automatic>". One compiler spells it where another leaves it out, and names are in files.
inline std::string without_default_method(std::string name) {
  for (const std::string_view spelled : {", Automatic>", "<Automatic>"})
    for (std::size_t at = 0; (at = name.find(spelled, at)) != std::string::npos;)
      name.replace(at, spelled.size(), spelled.front() == '<' ? "" : ">");
  return name;
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
    if (name.size() == begins.back() && spelled.substr(i).starts_with("const ")) {
      i += 5;                                                // of a lambda that was a constant
    } else if (spelled.substr(i).starts_with("<lambda(")) {  // GCC's "<lambda(int)>"
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
  return without_default_method(std::move(name));
}

template <class T>
std::string type_name() {
  return short_name(spelled_name<T>());
}

}}}  // namespace symopt::detail
