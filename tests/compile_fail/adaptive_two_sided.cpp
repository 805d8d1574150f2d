// SPDX-License-Identifier: Apache-2.0
// expect: moments::OneSided and moments::TwoSided are not there yet: name moments::Block, or use Update
#include <symopt/symopt.hpp>

using namespace symopt;

#ifdef WRONG
Adaptive<HiddenMatrix, moments::TwoSided> rule;
#else
Adaptive<HiddenMatrix, moments::Block> rule;
#endif
