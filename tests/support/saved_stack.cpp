// SPDX-License-Identifier: Apache-2.0
#include "support/saved_stack.hpp"

#include <symopt/state/state.hpp>

namespace symopt_test {

TrainedStack::TrainedStack(const StackPlan& plan, int steps) {
  using namespace symopt;
  const auto add = [&](const char* name, std::vector<Index> sizes) { model.add(name, std::move(sizes)); };
  add("head", plan.head_sizes);
  add("query", {4, 6});
  if (plan.has_norm) add("norm", {5});
  if (plan.has_bias) add("bias", {3});
  for (ModelParameter& parameter : model.parameters) {
    const auto weights = parameter.weights_view();
    const auto gradient = std::as_const(parameter).gradient_view();
    if (parameter.name == "head" && plan.head_is_embedding) {
      stack.add<Embedding>("head", weights, gradient, plan.head, {}, plan.rows);
    } else if (parameter.name == "head") {
      stack.add<LmHead>("head", weights, gradient, plan.head, {}, plan.rows);
    } else if (parameter.name == "query") {
      stack.add<HiddenMatrix>("query", weights, gradient, {.learning_rate = 0.05}, plan.heads);
    } else {
      stack.add<AdamW>(parameter.name, weights, gradient, {.learning_rate = 0.01}, {}, {}, plan.adamw);
    }
  }
  for (int step = 0; step < steps; ++step) {
    model.draw_gradients();
    stack.step();
  }
}

std::string TrainedStack::bytes() const {
  return symopt::interop::state_bytes(stack);
}

symopt::interop::LoadReport TrainedStack::load(const std::string& file,
                                               const symopt::interop::LoadOptions& options,
                                               const std::string& source) {
  return symopt::interop::load_state_bytes(stack, as_bytes(file), options, source);
}

}  // namespace symopt_test
