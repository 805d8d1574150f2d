// SPDX-License-Identifier: Apache-2.0
// expect: a shared shift (SharedShift) cannot stand beside rotations, sign flips or head rotations of the rows
#include <symopt/symopt.hpp>

using namespace symopt;

#ifdef WRONG
Update<Product<LeftOrthogonal, SharedShift>> update;
#else
Update<Product<RightOrthogonal, SharedShift>> update;
#endif
