// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/abi.hpp>

#include <algorithm>
#include <cstddef>
#include <functional>
#include <map>
#include <utility>
#include <vector>

namespace symopt { inline namespace SYMOPT_ABI { namespace detail {

/// Who lies at which addresses, to find those that a new interval meets without asking all of them. Intervals
/// that meet each other, as the column ranges of one matrix do, are kept together as one.
/// Cost: of an interval that meets no other, the logarithm of their number; else also the number of those
/// that were kept together with the ones that it meets. A template, so that only who adds parameters compiles
/// it.
template <class Address = const void*>
class AddressIntervals {
 public:
  /// The first address and the one past the last.
  using Interval = std::pair<Address, Address>;

 private:
  struct Owned {
    Interval interval;
    std::size_t owner;
  };
  struct Piece {
    Address begin;
    std::vector<Owned> owned;
  };

  static constexpr std::less<Address> before{};

 public:
  /// Calls visit(owner) for everybody who was added with an interval that meets this one.
  void for_each_meeting(Interval interval, const auto& visit) const {
    if (!before(interval.first, interval.second)) return;
    for (auto piece = pieces_.upper_bound(interval.first);
         piece != pieces_.end() && before(piece->second.begin, interval.second); ++piece)
      for (const Owned& owned : piece->second.owned)
        if (before(interval.first, owned.interval.second) && before(owned.interval.first, interval.second))
          visit(owned.owner);
  }

  /// Adds one. Nothing for an interval without addresses.
  void add(Interval interval, std::size_t owner) {
    if (!before(interval.first, interval.second)) return;
    Address begin = interval.first, end = interval.second;
    std::vector<Owned> together{{interval, owner}};
    const auto first = pieces_.upper_bound(begin);
    auto last = first;
    for (; last != pieces_.end() && before(last->second.begin, interval.second); ++last) {
      begin = std::min(begin, last->second.begin, before);
      end = std::max(end, last->first, before);
      std::vector<Owned>& others = last->second.owned;
      if (others.size() > together.size()) others.swap(together);  // the fewer ones are moved
      together.insert(together.end(), others.begin(), others.end());
    }
    pieces_.erase(first, last);
    pieces_.emplace(end, Piece{begin, std::move(together)});
  }

 private:
  std::map<Address, Piece, std::less<Address>> pieces_;  // by the address past their last; no two meet
};

}}}  // namespace symopt::detail
