// SPDX-License-Identifier: Apache-2.0
// expect: a shared shift (SharedShift) cannot stand beside rotations, sign flips or head rotations of the rows
#include <symopt/symopt.hpp>

using namespace symopt;

#ifdef WRONG
struct Group : Product<HeadRotations<Side::left, 4>, SharedShift> {};
#else
struct Group : Product<HeadRotations<Side::right, 4>, SharedShift> {};
#endif
