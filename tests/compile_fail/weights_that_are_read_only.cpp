// SPDX-License-Identifier: Apache-2.0
// expect: the weights must be memory to update
#include <symopt/symopt.hpp>

using namespace symopt;

#ifdef WRONG
void f(Optimizer<Update<Embedding>>& o, Eigen::Map<const Matrix<float>> w, Matrix<float> g) { o.step(w, g); }
#else
void f(Optimizer<Update<Embedding>>& o, Eigen::Map<Matrix<float>> w, Matrix<float> g) { o.step(w, g); }
#endif
