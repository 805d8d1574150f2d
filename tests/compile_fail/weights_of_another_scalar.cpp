// SPDX-License-Identifier: Apache-2.0
// expect: weights and gradient must have the optimizer's scalar
#include <symopt/symopt.hpp>

using namespace symopt;

#ifdef WRONG
void f(Optimizer<Update<Embedding>>& o, Matrix<double> w) { o.step(w, w); }
#else
void f(Optimizer<Update<Embedding>>& o, Matrix<float> w) { o.step(w, w); }
#endif
