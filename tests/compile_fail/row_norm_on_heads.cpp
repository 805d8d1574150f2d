// SPDX-License-Identifier: Apache-2.0
// expect: this normalization is not equivariant under rotations within heads of rows
#include <symopt/symopt.hpp>

using namespace symopt;

#ifdef WRONG
Update<HeadRotations<Side::left, 4>, RowNorm> update;
#else
Update<HeadRotations<Side::left, 4>, ColumnNorm> update;
#endif
