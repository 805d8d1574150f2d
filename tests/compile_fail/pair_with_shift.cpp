// SPDX-License-Identifier: Apache-2.0
// expect: a pair with a shift (SharedShift, ColumnShift) among its outer groups is not derived in this version
#include <symopt/symopt.hpp>

using namespace symopt;

#ifdef WRONG
PairUpdate<Gauge<algebra::Full, SharedShift, LeftOrthogonal>> update;
#else
PairUpdate<Gauge<algebra::Full, Trivial, LeftOrthogonal>> update;
#endif
