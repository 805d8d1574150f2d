// SPDX-License-Identifier: Apache-2.0
// expect: the first argument of a gauge is an algebra of r x r matrices
#include <symopt/symopt.hpp>

using namespace symopt;

#ifdef WRONG
PairUpdate<Gauge<LmHead>> update;
#else
PairUpdate<Gauge<algebra::Full>> update;
#endif
