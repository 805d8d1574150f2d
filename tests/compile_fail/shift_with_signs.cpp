// SPDX-License-Identifier: Apache-2.0
// expect: a shared shift (SharedShift) cannot stand beside rotations, sign flips or head rotations of the rows
#include <symopt/symopt.hpp>

using namespace symopt;

#ifdef WRONG
Product<SharedShift, SignedRowPermutation> group;
#else
Product<SharedShift, SignedColumnPermutation> group;
#endif
