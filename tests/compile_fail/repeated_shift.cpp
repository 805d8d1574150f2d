// SPDX-License-Identifier: Apache-2.0
// expect: this product names the same shift twice
#include <symopt/symopt.hpp>

using namespace symopt;

#ifdef WRONG
Product<LmHead, SharedShift> group;
#else
Product<LmHead, Trivial> group;
#endif
