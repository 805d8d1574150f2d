// SPDX-License-Identifier: Apache-2.0
// expect: this normalization is not equivariant under sign flips of the columns (SignedColumnPermutation)
#include <symopt/symopt.hpp>

using namespace symopt;

#ifdef WRONG
Update<SignedColumnPermutation, HorizontalProjection<Side::right>> update;
#else
Update<ColumnPermutation, HorizontalProjection<Side::right>> update;
#endif
