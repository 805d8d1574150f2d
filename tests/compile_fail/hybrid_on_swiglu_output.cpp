// SPDX-License-Identifier: Apache-2.0
// expect: this normalization is not equivariant under rotations of the rows (LeftOrthogonal)
#include <symopt/symopt.hpp>

using namespace symopt;

#ifdef WRONG
Update<SwigluOutput, Then<RowNorm, Spectral<>>> update;
#else
Update<SwigluOutput, Then<ColumnNorm, Spectral<>>> update;
#endif
