// SPDX-License-Identifier: Apache-2.0
// expect: the two sides of this group propose different normalizations
#include <symopt/symopt.hpp>

using namespace symopt;

#ifdef WRONG
Update<Product<HeadRotations<Side::left, 4>, ColumnPermutation>> update;
#else
Update<Product<HeadRotations<Side::left, 4>, ColumnPermutation>, HeadSpectral<Side::left, 4>> update;
#endif
