// SPDX-License-Identifier: Apache-2.0
// expect: a stack keeps views
#include <symopt/symopt.hpp>

using namespace symopt;

#ifdef WRONG
void f(LayerwiseOptimizer& stack, Matrix<float>& g) {
  stack.set_gradient("w", Matrix<float>(g));
}
#else
void f(LayerwiseOptimizer& stack, Matrix<float>& g) {
  stack.set_gradient("w", g.topRows(2));
}
#endif
