// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/block_view.hpp>

#include <algorithm>
#include <vector>

namespace symopt { inline namespace SYMOPT_ABI { namespace detail {

/// The entries of some blocks, to be put back. Taking as many again allocates nothing.
template <class Scalar>
class BlocksCopy {
 public:
  void take(const std::vector<BlockView<Scalar>>& blocks) {
    entries_.clear();
    for (const BlockView<Scalar>& block : blocks)
      for_each_segment(block, [&](Index, Index, const auto& segment) {
        for (Index j = 0; j < segment.size(); ++j) entries_.push_back(segment.coeff(j));
      });
  }
  void put_back(const std::vector<BlockView<Scalar>>& blocks) const {
    auto next = entries_.begin();
    for (const BlockView<Scalar>& block : blocks)
      for_each_segment(block, [&](Index, Index, auto&& segment) {
        for (Index j = 0; j < segment.size(); ++j) segment.coeffRef(j) = *next++;
      });
  }

 private:
  std::vector<Scalar> entries_;
};

}}}  // namespace symopt::detail
