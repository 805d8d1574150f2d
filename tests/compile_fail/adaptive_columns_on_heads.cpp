// SPDX-License-Identifier: Apache-2.0
// expect: these second moments are not equivariant under rotations within heads of columns
#include <symopt/symopt.hpp>

using namespace symopt;

#ifdef WRONG
Adaptive<HeadRotations<Side::right, 64>, moments::Columns> rule;
#else
Adaptive<HeadRotations<Side::right, 64>, moments::Rows> rule;
#endif
