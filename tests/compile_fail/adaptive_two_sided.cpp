// SPDX-License-Identifier: Apache-2.0
// expect: moments::TwoSided is not there yet: name moments::OneSided or moments::Block, or use Update
#include <symopt/symopt.hpp>

using namespace symopt;

#ifdef WRONG
Adaptive<HiddenMatrix, moments::TwoSided> rule;
#else
Adaptive<HiddenMatrix> rule;
#endif
