// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/error.hpp>
#include <symopt/finite.hpp>
#include <symopt/group/named_groups.hpp>
#include <symopt/optimizer/options.hpp>

#include <cmath>
#include <concepts>
#include <optional>
#include <sstream>
#include <string>

namespace symopt { inline namespace SYMOPT_ABI {

/// The factor on the learning rate of a stack for each parameter class. Rules with the group of a class
/// belong to it, Update<LmHead> and Adaptive<LmHead> alike; all others, AdamW among them, are `other`.
struct ClassRatios {
  double hidden_matrix = 1;   ///< HiddenMatrix
  double embedding = 1;       ///< Embedding
  double tied_embedding = 1;  ///< TiedEmbedding
  double lm_head = 1;         ///< LmHead
  double swiglu_input = 1;    ///< SwigluInput
  double swiglu_output = 1;   ///< SwigluOutput
  double router = 1;          ///< Router
  double other = 1;           ///< AdamW, groups and rules of your own

  /// Shows every ratio by its name.
  void options(auto&& field) {
    field("hidden_matrix", hidden_matrix);
    field("embedding", embedding);
    field("tied_embedding", tied_embedding);
    field("lm_head", lm_head);
    field("swiglu_input", swiglu_input);
    field("swiglu_output", swiglu_output);
    field("router", router);
    field("other", other);
  }
};

/// The options of all parameters of a stack that are given none of their own, in the units of AdamW: their
/// scale is Scale::match_rms, so that an entry moves by about 0.2 times the rate per step, whatever the rule.
///   LayerwiseOptimizer stack({.learning_rate = 1e-3, .weight_decay = 0.1});
struct StackOptions {
  double learning_rate = 1e-3;                                       ///< as AdamW's
  double weight_decay = 0.0;                                         ///< as AdamW's, decoupled
  double momentum = 0.95;                                            ///< of rules that keep none themselves
  MomentumConvention momentum_convention = MomentumConvention::ema;  ///< of the same
  bool nesterov = false;                                             ///< of the same
  NonFinite non_finite = NonFinite::throw_error;                     ///< what an Inf or a NaN does
  ClassRatios ratios{};                                              ///< of rates, for each parameter class
};

namespace detail {

template <class Class>
constexpr double ClassRatios::*ratio_of_class() {
  if constexpr (std::same_as<Class, HiddenMatrix>) {
    return &ClassRatios::hidden_matrix;
  } else if constexpr (std::same_as<Class, Embedding>) {
    return &ClassRatios::embedding;
  } else if constexpr (std::same_as<Class, TiedEmbedding>) {
    return &ClassRatios::tied_embedding;
  } else if constexpr (std::same_as<Class, LmHead>) {
    return &ClassRatios::lm_head;
  } else if constexpr (std::same_as<Class, SwigluInput>) {
    return &ClassRatios::swiglu_input;
  } else if constexpr (std::same_as<Class, SwigluOutput>) {
    return &ClassRatios::swiglu_output;
  } else if constexpr (std::same_as<Class, Router>) {
    return &ClassRatios::router;
  } else {
    return &ClassRatios::other;
  }
}

/// The ratio that a rule takes.
template <class Rule>
constexpr double ClassRatios::*ratio_of_rule() {
  if constexpr (requires { typename Rule::group; }) {
    return ratio_of_class<typename Rule::group>();
  } else {
    return &ClassRatios::other;
  }
}

}  // namespace detail

/// Throws std::invalid_argument that names option and range unless all are in range.
inline void validate(const StackOptions& options) {
  validate(OptimizerOptions{.learning_rate = options.learning_rate,
                            .momentum = options.momentum,
                            .weight_decay = options.weight_decay,
                            .parameter = ""});
  ClassRatios(options.ratios).options([](const char* name, double ratio) {
    detail::require(ratio >= 0 && detail::is_finite(ratio), [&] {
      std::ostringstream message;
      message << "the ratio of " << name << " is " << ratio << "; it must be finite and not negative";
      return message.str();
    });
  });
}

}}  // namespace symopt
