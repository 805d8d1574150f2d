// SPDX-License-Identifier: Apache-2.0
// expect: the second moments that this group derives are full matrices (moments::OneSided), which are not
// there yet
#include <symopt/symopt.hpp>

using namespace symopt;

#ifdef WRONG
Adaptive<HiddenMatrix> rule;
#else
Adaptive<Trivial> rule;
#endif
