// SPDX-License-Identifier: Apache-2.0
// expect: a stack needs memory with a shape
#include <symopt/symopt.hpp>

using namespace symopt;

#ifdef WRONG
void f(LayerwiseOptimizer& stack, std::vector<float>& w) {
  stack.add<AdamW>("w", w, std::nullopt);
}
#else
void f(LayerwiseOptimizer& stack, std::vector<float>& w) {
  stack.add<AdamW>("w", TensorView<float>(w.data(), {2, 2}), std::nullopt);
}
#endif
