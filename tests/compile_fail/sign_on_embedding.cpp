// SPDX-License-Identifier: Apache-2.0
// expect: this normalization is not equivariant under rotations of the columns (RightOrthogonal)
#include <symopt/symopt.hpp>

using namespace symopt;

#ifdef WRONG
Update<Embedding, Sign> update;
#else
Update<Product<RowPermutation, ColumnPermutation>, Sign> update;
#endif
