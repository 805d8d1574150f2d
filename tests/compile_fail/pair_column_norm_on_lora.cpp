// SPDX-License-Identifier: Apache-2.0
// expect: this normalization does not commute with the rotations of the columns that the gauge of the pair contains (algebra::Full)
#include <symopt/symopt.hpp>

using namespace symopt;

#ifdef WRONG
PairUpdate<LoraPair, ColumnNorm> update;
#else
PairUpdate<LoraPair, FrobeniusNorm> update;
#endif
