// SPDX-License-Identifier: Apache-2.0
// expect: this normalization is not equivariant under rotations of the rows (LeftOrthogonal)
#include <symopt/symopt.hpp>

using namespace symopt;

#ifdef WRONG
PairUpdate<NeuronPair, RowNorm> update;
#else
PairUpdate<Gauge<algebra::Diagonal, RowPermutation, RowPermutation>, RowNorm> update;
#endif
