// SPDX-License-Identifier: Apache-2.0
// expect: a column shift (ColumnShift) cannot stand beside rotations, sign flips or head rotations of the columns
#include <symopt/symopt.hpp>

using namespace symopt;

#ifdef WRONG
Update<Product<RightOrthogonal, ColumnShift>> update;
#else
Update<Product<LeftOrthogonal, ColumnShift>> update;
#endif
