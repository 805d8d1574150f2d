// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/abi.hpp>

#include <concepts>
#include <functional>
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
  explicit Error(std::string what_is_wrong, std::string of_parameter = {}, const std::string& of_shape = {})
      : std::invalid_argument(message(what_is_wrong, of_parameter, of_shape)),
        parameter(std::move(of_parameter)),
        text(std::move(what_is_wrong)) {}

  std::string parameter;  ///< the name by which the message calls it; empty where none is concerned
  std::string text;       ///< the message without that name

 private:
  static std::string message(const std::string& text, const std::string& parameter,
                             const std::string& shape) {
    if (parameter.empty()) return "symopt: " + text;
    return "symopt: parameter '" + parameter + "'" + (shape.empty() ? "" : " of shape " + shape) + ": " +
           text;
  }
};

/// A gradient with an Inf or a NaN, where the options say throw_error. Nothing was changed.
struct NonFiniteGradient : Error {
  /// One parameter, which the message names first, or several, which the text names.
  ///@{
  NonFiniteGradient(std::string what_is_wrong, std::string of_parameter)
      : Error(std::move(what_is_wrong), of_parameter), parameters{std::move(of_parameter)} {}
  NonFiniteGradient(std::string what_is_wrong, std::vector<std::string> of_parameters)
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

/// Throws Error unless `good`. The text: a string, or a function that makes it, which is called for an error
/// alone.
///@{
template <class Text>
void require(bool good, Where where, Text&& text) {
  if (good) return;
  if constexpr (std::invocable<Text>) {
    throw Error(std::invoke(std::forward<Text>(text)), std::string(where.parameter),
                std::string(where.shape));
  } else {
    throw Error(std::string(std::forward<Text>(text)), std::string(where.parameter),
                std::string(where.shape));
  }
}
template <class Text>
void require(bool good, Text&& text) {
  require(good, Where{}, std::forward<Text>(text));
}
///@}

}  // namespace detail

}}  // namespace symopt
