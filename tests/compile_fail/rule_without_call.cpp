// SPDX-License-Identifier: Apache-2.0
// expect: an optimizer needs a rule
#include <symopt/symopt.hpp>

using namespace symopt;

#ifdef WRONG
Optimizer<int> optimizer(2, 3);
#else
Optimizer<RowNorm> optimizer(2, 3);
#endif
