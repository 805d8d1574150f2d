// SPDX-License-Identifier: Apache-2.0
// expect: two factors of this product act linearly on the rows
#include <symopt/symopt.hpp>

using namespace symopt;

#ifdef WRONG
Product<RowPermutation, LeftOrthogonal> group;
#else
Product<RowPermutation, RightOrthogonal> group;
#endif
