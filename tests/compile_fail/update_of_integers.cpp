// SPDX-License-Identifier: Apache-2.0
// expect: symopt computes in float and double
#include <symopt/symopt.hpp>

using namespace symopt;

#ifdef WRONG
auto f(const Eigen::MatrixXi& m) { return Update<Embedding>()(m); }
#else
auto f(const Eigen::MatrixXi& m) { return Update<Embedding>()(m.cast<float>()); }
#endif
