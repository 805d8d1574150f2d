// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/abi.hpp>

#include <concepts>
#include <initializer_list>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace symopt { inline namespace SYMOPT_ABI {

/// A wrong use: what is wrong, both values, and what to do. what() is the whole message,
///   symopt: parameter 'head': the shape of the gradient is 3x4 but ...
///   symopt: parameter 'experts' of shape 8x3x4: ...
/// After an error weights and state are as they were.
struct Error : std::invalid_argument {
  /// The message of the text alone, or under the name of a parameter, and its shape where that matters.
  [[gnu::cold]] explicit Error(std::string what_is_wrong, std::string of_parameter = {},
                               const std::string& of_shape = {})
      : std::invalid_argument(message(what_is_wrong, of_parameter, of_shape)),
        parameter(std::move(of_parameter)),
        text(std::move(what_is_wrong)) {}

  std::string parameter;  ///< the name by which the message calls it; empty where none is concerned
  std::string text;       ///< the message without that name

 private:
  [[gnu::cold]] static std::string message(const std::string& text, const std::string& parameter,
                                           const std::string& shape) {
    std::string whole = "symopt: ";
    if (!parameter.empty()) whole.append("parameter '").append(parameter).append("'");
    if (!parameter.empty() && !shape.empty()) whole.append(" of shape ").append(shape);
    if (!parameter.empty()) whole.append(": ");
    return whole.append(text);
  }
};

/// A gradient with an Inf or a NaN, where the options say throw_error. Nothing was changed.
struct NonFiniteGradient : Error {
  /// One parameter, which the message names first, or several, which the text names.
  ///@{
  [[gnu::cold]] NonFiniteGradient(std::string what_is_wrong, const std::string& of_parameter)
      : Error(std::move(what_is_wrong), of_parameter), parameters(1, of_parameter) {}
  [[gnu::cold]] NonFiniteGradient(std::string what_is_wrong, std::vector<std::string> of_parameters)
      : Error(std::move(what_is_wrong)), parameters(std::move(of_parameters)) {}
  ///@}

  std::vector<std::string> parameters;  ///< all whose gradients are not finite
};

namespace detail {

/// The parameter that an error is about, and its shape where that matters; none where it is not about one.
struct Where {
  std::string_view parameter;
  std::string_view shape = {};
};

[[noreturn, gnu::cold, gnu::noinline]] inline void fail(Where where, std::string text) {
  throw Error(std::move(text), std::string(where.parameter), std::string(where.shape));
}

/// Throws Error unless `good`. The text: a string, or a function that makes it, which is called for an error
/// alone.
///@{
inline void require(bool good, Where where, const char* text) {
  if (!good) fail(where, text);
}
inline void require(bool good, Where where, const std::string& text) {
  if (!good) fail(where, text);
}
template <std::invocable Text>
void require(bool good, Where where, const Text& text) {
  if (!good) fail(where, text());
}
void require(bool good, const auto& text) {
  require(good, Where{}, text);
}
///@}

/// The parts of a message one after the other.
[[gnu::cold]] inline std::string joined(std::initializer_list<std::string_view> parts) {
  std::string text;
  for (const std::string_view part : parts) text += part;
  return text;
}

}  // namespace detail

}}  // namespace symopt
