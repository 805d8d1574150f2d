// SPDX-License-Identifier: Apache-2.0
// expect: this normalization does not say under which group it is equivariant
#include <symopt/symopt.hpp>

using namespace symopt;

struct Halve {
  auto operator()(const auto& block) const { return (block / 2).eval(); }
};

#ifdef WRONG
Update<Embedding, Halve> update;
#else
Optimizer<Halve> optimizer(2, 3);
#endif
