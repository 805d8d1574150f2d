// SPDX-License-Identifier: Apache-2.0
// expect: frame_average has frames for permutations and for rotations only
#include <symopt/symopt.hpp>
#include <symopt/frame/frame_average.hpp>

using namespace symopt;

struct Silent {
  auto operator()(const auto& block) const { return (block / 2).eval(); }
};

#ifdef WRONG
FrameAveraged<SignedRowPermutation, Silent> rule;
#else
FrameAveraged<SignedRowPermutation, AdamW> rule;
#endif
