// SPDX-License-Identifier: Apache-2.0
// expect: the outer groups of a pair act on the rows of A and of B (LeftOrthogonal, RowPermutation)
#include <symopt/symopt.hpp>

using namespace symopt;

#ifdef WRONG
PairUpdate<Gauge<algebra::Full, RightOrthogonal>> update;
#else
PairUpdate<Gauge<algebra::Full, LeftOrthogonal>> update;
#endif
