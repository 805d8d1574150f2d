// SPDX-License-Identifier: Apache-2.0
#pragma once

// What most tests and examples instantiate, for Clang to compile it once: see cmake/by_clang.cmake. Nothing
// includes this file, and nothing calls its functions.

#include <symopt/derive/update.hpp>
#include <symopt/group/named_groups.hpp>
#include <symopt/optimizer/adamw.hpp>
#include <symopt/optimizer/adaptive.hpp>
#include <symopt/optimizer/optimizer.hpp>
#include <symopt/stack/layerwise_optimizer.hpp>
#include <symopt/stack/pair_role.hpp>
#include <symopt/stack/routing.hpp>
#include <symopt/symopt.hpp>

namespace symopt_test {

template <class Rule, class Scalar>
void use_rule(symopt::BasicLayerwiseOptimizer<Scalar>& stack) {
  symopt::Matrix<Scalar> block;
  stack.template add<Rule>("", block, block);
  stack.template add<Rule>("", block, block, symopt::OptimizerOptions{});
  symopt::Optimizer<symopt::detail::role_rule_t<Rule>, Scalar> optimizer(0, 0, symopt::OptimizerOptions{});
  optimizer.step(block, block);
}

template <class Scalar>
void use_stack() {
  using namespace symopt;
  BasicLayerwiseOptimizer<Scalar> stack;
  use_rule<Embedding>(stack);
  use_rule<LmHead>(stack);
  use_rule<HiddenMatrix>(stack);
  use_rule<Router>(stack);
  use_rule<SwigluInput>(stack);
  use_rule<SwigluOutput>(stack);
  use_rule<Adaptive<Embedding>>(stack);
  use_rule<Adaptive<LmHead>>(stack);
  use_rule<Adaptive<HiddenMatrix>>(stack);
  use_rule<AdamW>(stack);
  BasicRouting<Scalar> routing;
  routing.add_pair("", "", pair_role<LoraPair, Scalar>());
  stack.route({}, routing);
  stack.step();
  (void)stack.plan();
}

inline void use_both_scalars() {
  use_stack<float>();
  use_stack<double>();
}

}  // namespace symopt_test
