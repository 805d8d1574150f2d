// SPDX-License-Identifier: Apache-2.0
// expect: this normalization is not equivariant under permutations of the rows (RowPermutation)
#include <symopt/symopt.hpp>

using namespace symopt;

#ifdef WRONG
Update<RowPermutation, HeadSpectral<Side::left, 4>> update;
#else
Update<RowPermutation, Spectral<>> update;
#endif
