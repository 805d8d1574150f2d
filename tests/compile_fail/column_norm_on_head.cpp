// SPDX-License-Identifier: Apache-2.0
// expect: this normalization is not equivariant under rotations of the columns (RightOrthogonal)
#include <symopt/symopt.hpp>

using namespace symopt;

#ifdef WRONG
Update<LmHead, ColumnNorm> update;
#else
Update<LmHead, RowNorm> update;
#endif
