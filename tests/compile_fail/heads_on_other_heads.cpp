// SPDX-License-Identifier: Apache-2.0
// expect: this normalization is not equivariant under rotations within heads of columns
#include <symopt/symopt.hpp>

using namespace symopt;

#ifdef WRONG
Update<HeadRotations<Side::right, 6>, HeadSpectral<Side::right, 4>> update;
#else
Update<HeadRotations<Side::right, 4>, HeadSpectral<Side::right, 4>> update;
#endif
