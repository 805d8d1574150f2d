// SPDX-License-Identifier: Apache-2.0
// expect: this normalization is not equivariant under rotations of the rows (LeftOrthogonal)
#include <symopt/symopt.hpp>

using namespace symopt;

#ifdef WRONG
Update<HiddenMatrix, RowNorm> update;
#else
Update<HiddenMatrix, FrobeniusNorm> update;
#endif
