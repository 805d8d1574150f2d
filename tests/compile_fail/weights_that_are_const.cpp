// SPDX-License-Identifier: Apache-2.0
// expect: the weights are const, and a step changes them
#include <symopt/symopt.hpp>

using namespace symopt;

#ifdef WRONG
void f(Optimizer<AdamW>& o, const Matrix<float> w, Matrix<float> g) {
  o.step(w, g);
}
#else
void f(Optimizer<AdamW>& o, Matrix<float> w, Matrix<float> g) {
  o.step(w, g);
}
#endif
