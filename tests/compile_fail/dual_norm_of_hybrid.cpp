// SPDX-License-Identifier: Apache-2.0
// expect: DualNorm takes nu between the input and the output of one stage
#include <symopt/symopt.hpp>

using namespace symopt;

#ifdef WRONG
Update<Embedding, DualNorm<Then<RowNorm, Spectral<>>>> update;
#else
Update<Embedding, Then<RowNorm, DualNorm<Spectral<>>>> update;
#endif
