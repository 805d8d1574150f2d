// SPDX-License-Identifier: Apache-2.0
// expect: the weights must be memory to update
#include <symopt/symopt.hpp>

using namespace symopt;

#ifdef WRONG
void f(Optimizer<Update<Embedding>>& o, Matrix<float> w) { o.step(w + w, w); }
#else
void f(Optimizer<Update<Embedding>>& o, Matrix<float> w) { o.step(w, w + w); }
#endif
