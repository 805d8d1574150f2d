// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/check/stored_blocks.hpp>
#include <symopt/optimizer/rule_traits.hpp>
#include <symopt/stack/layerwise_optimizer.hpp>

#include <concepts>
#include <cstddef>
#include <functional>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

namespace symopt { inline namespace SYMOPT_ABI { namespace check::detail {

template <class Rule>
inline constexpr bool takes_tensors_v =
    std::invocable<const Rule&, TensorView<const double>, TensorView<double>>;

/// The rule as one for whole tensors: as it is, or block by block through a stack, in its first step.
template <class Rule>
TensorRule tensor_rule(const Rule& rule, const Layout& layout) {
  if constexpr (takes_tensors_v<Rule>) {
    return rule;
  } else {
    return [rule, layout](const TensorView<const double>& gradient, const TensorView<double>& direction) {
      OptimizerOptions options{.learning_rate = 1};
      if constexpr (!StatefulRule<Rule, double>) options.momentum = 0;
      std::vector<double> weights(static_cast<std::size_t>(
          std::accumulate(gradient.sizes().begin(), gradient.sizes().end(), Index{1}, std::multiplies<>{})));
      BasicLayerwiseOptimizer<double> stack;
      stack.template add<Rule>("checked tensor", TensorView<double>(weights.data(), gradient.sizes()),
                               gradient, options, layout, {}, rule);
      stack.step();
      for (std::size_t i = 0; i < weights.size(); ++i) direction.data()[i] = -weights[i];
    };
  }
}

/// The name of a rule for blocks; a tensor's rule has none.
template <class Rule>
std::string name_of_tensor_rule(const Rule& rule) {
  if constexpr (takes_tensors_v<Rule>) {
    return "a rule for tensors";
  } else {
    std::string name = symopt::detail::rule_text(rule);
    return name.find("lambda") == std::string::npos ? name : "a callable";
  }
}

}}}  // namespace symopt::check::detail
