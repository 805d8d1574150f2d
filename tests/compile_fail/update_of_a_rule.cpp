// SPDX-License-Identifier: Apache-2.0
// expect: a symmetry group is asked for here: a parameter class such as LmHead
#include <symopt/symopt.hpp>

using namespace symopt;

#ifdef WRONG
Update<AdamW> update;
#else
Update<LmHead> update;
#endif
