// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/error.hpp>
#include <symopt/finite.hpp>
#include <symopt/optimizer/decay.hpp>
#include <symopt/optimizer/momentum.hpp>
#include <symopt/optimizer/scale.hpp>

#include <cmath>
#include <concepts>
#include <cstdint>
#include <limits>
#include <ostream>
#include <sstream>
#include <string>
#include <string_view>

namespace symopt { inline namespace SYMOPT_ABI {

/// The treatment of a step whose gradient has an Inf or a NaN. In the first two cases weights and state stay
/// as they were, bit for bit.
///   throw_error  std::invalid_argument that names the parameter
///   skip         the step is skipped and reported
///   unchecked    the caller vouches for the gradient, and saves one read of it
enum class NonFinite { throw_error, skip, unchecked };

constexpr const char* to_string(NonFinite policy) {
  switch (policy) {
    case NonFinite::skip:
      return "skip";
    case NonFinite::unchecked:
      return "unchecked";
    case NonFinite::throw_error:
      break;
  }
  return "throw_error";
}

/// The options of one block's optimizer. Everything beyond the rate and the momentum is off unless named.
struct OptimizerOptions {
  double learning_rate = 1e-3;                                       ///< multiplies the direction after scale
  double momentum = 0.95;                                            ///< beta, in [0, 1); 0 is none
  MomentumConvention momentum_convention = MomentumConvention::ema;  ///< how gradients are averaged
  bool nesterov = false;                          ///< the rule is given M averaged with G once more
  double weight_decay = 0.0;                      ///< W shrinks by learning_rate * weight_decay per step
  Decay decay = Decay::all;                       ///< what the decay shrinks
  Scale scale = Scale::none;                      ///< a factor from the block's shape
  NonFinite non_finite = NonFinite::throw_error;  ///< what a gradient with an Inf or a NaN does
  std::string parameter = "block";                ///< the name by which errors call the block

  /// Shows every option by its name: what prints, saves and compares them goes through here.
  void options(auto&& field) {
    field("learning_rate", learning_rate);
    field("momentum", momentum);
    field("momentum_convention", momentum_convention);
    field("nesterov", nesterov);
    field("weight_decay", weight_decay);
    field("decay", decay);
    field("scale", scale);
    field("non_finite", non_finite);
    field("parameter", parameter);
  }
};

namespace detail {

[[gnu::cold]] inline void require_in_range(const OptimizerOptions& options, const char* name, double value,
                                           bool in_range, const char* range) {
  if (in_range && is_finite(value)) return;
  std::ostringstream message;
  message << name << " is " << value << "; it must be " << range;
  fail({options.parameter}, message.str());
}

/// "momentum 0.95 ema, Nesterov"
inline std::string momentum_text(const OptimizerOptions& options) {
  if (options.momentum == 0) return "no momentum";
  std::ostringstream text;
  text << "momentum " << options.momentum << " " << to_string(options.momentum_convention)
       << (options.nesterov ? ", Nesterov" : "");
  return text.str();
}

/// The remedy that errors name for a step refused for a non-finite gradient.
inline constexpr const char* remedy_of_non_finite =
    "Lower the learning rate or clip upstream, or set non_finite = NonFinite::skip";
/// Throws NonFiniteGradient of a step that was refused for that reason: of one parameter, or of several,
/// which the reason names.
[[noreturn, gnu::cold]] inline void refuse_step(std::string_view reason, const auto& parameters) {
  throw NonFiniteGradient(joined({reason, "; nothing was changed. ", remedy_of_non_finite}), parameters);
}
/// Why a step of finite numbers was refused.
inline constexpr const char* out_of_range =
    "the step would make an Inf or NaN of finite numbers, for the gradient, the momentum, the weights or the "
    "learning rate is too large";

/// Throws Error that names the parameter unless all that a step multiplies by is in the range of Scalar: the
/// rate, times the schedule factor, times the factor of the scale and times the decay, with its own factor.
template <class Scalar>
void require_factors_in_range(const OptimizerOptions& options, double schedule_factor, double scale_factor,
                              double decay_factor = 1) {
  constexpr const char* scalar = sizeof(Scalar) == 4 ? "float" : "double";
  const double rate = options.learning_rate * schedule_factor;
  const double largest = static_cast<double>(std::numeric_limits<Scalar>::max());
  constexpr const char* range =
      sizeof(Scalar) == 4 ? "at most what float holds" : "at most what double holds";
  require_in_range(options, "learning_rate", options.learning_rate, options.learning_rate <= largest, range);
  require_in_range(options, "weight_decay", options.weight_decay, options.weight_decay <= largest, range);
  const auto require_product = [&](const char* with, double factor) {
    require(rate <= largest && rate * factor <= largest, {options.parameter}, [&] {
      std::ostringstream message;
      message << "the learning rate of " << options.learning_rate << " times the schedule factor of "
              << schedule_factor << with << factor << " is out of the range of " << scalar;
      return message.str();
    });
  };
  require_product(", times the scale's factor of ", scale_factor);
  require_product(", times the weight decay of ", options.weight_decay * decay_factor);
}

}  // namespace detail

/// Throws std::invalid_argument that names parameter, option and range unless all are in range.
[[gnu::cold]] inline void validate(const OptimizerOptions& options) {
  detail::require_in_range(options, "learning_rate", options.learning_rate, options.learning_rate >= 0,
                           "finite and not negative");
  detail::require_in_range(options, "momentum", options.momentum,
                           options.momentum >= 0 && options.momentum < 1, "at least 0 and less than 1");
  detail::require_in_range(options, "weight_decay", options.weight_decay, options.weight_decay >= 0,
                           "finite and not negative");
}

/// One line, `name=value, name=value, ...`, every option. A template, so that only who prints compiles it.
template <std::derived_from<std::ostream> Out>
Out& operator<<(Out& out, const OptimizerOptions& options) {
  const char* separator = "";
  OptimizerOptions(options).options([&](const char* name, const auto& value) {
    out << separator << name << '=';
    if constexpr (requires { to_string(value); }) {
      out << to_string(value);
    } else {
      out << value;
    }
    separator = ", ";
  });
  return out;
}

}}  // namespace symopt
