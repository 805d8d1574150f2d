// SPDX-License-Identifier: Apache-2.0
// expect: these second moments are not equivariant under rotations of the columns (RightOrthogonal)
#include <symopt/symopt.hpp>

using namespace symopt;

#ifdef WRONG
Adaptive<LmHead, moments::Columns> rule;
#else
Adaptive<LmHead, moments::Rows> rule;
#endif
