// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/matrix.hpp>

#include <algorithm>
#include <cstddef>
#include <functional>
#include <numeric>
#include <vector>

namespace symopt { inline namespace SYMOPT_ABI { namespace mpi::detail {

/// The work of a block's step, in units of one entry that is swept through memory. A polar factor takes about
/// one unit more for every eight entries of the shorter edge: it multiplies, at the rate of the products.
inline Index work_of(Shape block, bool has_polar_factor) {
  const Index entries = block.rows * block.cols;
  return has_polar_factor ? entries + entries * std::min(block.rows, block.cols) / 8 : entries;
}

/// The ranks that own some pieces of work: the largest piece first, each to the rank with the least so far,
/// the lower one of two. At most 4/3 of the least possible largest load (Graham 1969, LPT rule). Whole
/// numbers and no messages, so that every rank finds the same.
inline std::vector<int> owners_of(const std::vector<Index>& work, int ranks) {
  std::vector<std::size_t> order(work.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::stable_sort(order, std::greater<>(), [&](std::size_t piece) { return work[piece]; });
  std::vector<Index> load(static_cast<std::size_t>(ranks));
  std::vector<int> owners(work.size());
  for (const std::size_t piece : order) {
    const auto least = std::ranges::min_element(load);
    *least += work[piece];
    owners[piece] = static_cast<int>(least - load.begin());
  }
  return owners;
}

}}}  // namespace symopt::mpi::detail
