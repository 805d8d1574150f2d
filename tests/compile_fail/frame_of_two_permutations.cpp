// SPDX-License-Identifier: Apache-2.0
// expect: frame_average cannot sort the lines of one side while the group permutes the other
#include <symopt/symopt.hpp>
#include <symopt/frame/frame_average.hpp>

using namespace symopt;

struct Silent {
  auto operator()(const auto& block) const { return (block / 2).eval(); }
};

#ifdef WRONG
FrameAveraged<Product<RowPermutation, ColumnPermutation>, Silent> rule;
#else
FrameAveraged<Product<RowPermutation, ColumnPermutation>, Sign> rule;
#endif
