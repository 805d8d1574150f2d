// SPDX-License-Identifier: Apache-2.0
// expect: these second moments are not equivariant under rotations of the rows (LeftOrthogonal)
#include <symopt/symopt.hpp>

using namespace symopt;

#ifdef WRONG
Adaptive<HiddenMatrix, moments::Rows> rule;
#else
Adaptive<HiddenMatrix, moments::Block> rule;
#endif
