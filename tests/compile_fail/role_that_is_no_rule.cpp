// SPDX-License-Identifier: Apache-2.0
// expect: a role is a parameter class
#include <symopt/symopt.hpp>

using namespace symopt;

#ifdef WRONG
void f(LayerwiseOptimizer& stack, Matrix<float>& w) {
  stack.add<int>("w", w, std::nullopt);
}
#else
void f(LayerwiseOptimizer& stack, Matrix<float>& w) {
  stack.add<RowNorm>("w", w, std::nullopt);
}
#endif
