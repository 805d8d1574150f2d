// SPDX-License-Identifier: Apache-2.0
// expect: this is a group, and an optimizer needs a rule: write PairOptimizer<PairUpdate<Group>>
#include <symopt/symopt.hpp>

using namespace symopt;

#ifdef WRONG
PairOptimizer<LoraPair> optimizer(4, 5, 2);
#else
PairOptimizer<PairUpdate<LoraPair>> optimizer(4, 5, 2);
#endif
