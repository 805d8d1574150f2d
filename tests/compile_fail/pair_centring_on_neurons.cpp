// SPDX-License-Identifier: Apache-2.0
// expect: this normalization does not commute with the signs of columns that the gauge of the pair contains (algebra::Diagonal)
#include <symopt/symopt.hpp>

using namespace symopt;

#ifdef WRONG
PairUpdate<Gauge<algebra::Diagonal>, HorizontalProjection<Side::right>> update;
#else
PairUpdate<Gauge<algebra::Scalars>, HorizontalProjection<Side::right>> update;
#endif
