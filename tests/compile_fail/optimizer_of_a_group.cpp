// SPDX-License-Identifier: Apache-2.0
// expect: this is a group, and an optimizer needs a rule
#include <symopt/symopt.hpp>

using namespace symopt;

#ifdef WRONG
Optimizer<LmHead> optimizer(2, 2);
#else
Optimizer<Update<LmHead> > optimizer(2, 2);
#endif
