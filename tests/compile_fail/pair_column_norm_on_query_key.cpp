// SPDX-License-Identifier: Apache-2.0
// expect: this normalization does not commute with the rotations of two columns that the gauge of the pair contains (algebra::Planes)
#include <symopt/symopt.hpp>

using namespace symopt;

#ifdef WRONG
PairUpdate<QueryKey, ColumnNorm> update;
#else
PairUpdate<QueryKey, Spectral<>> update;
#endif
