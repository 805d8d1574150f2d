// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/abi.hpp>

#include <algorithm>
#include <cstddef>
#include <functional>
#include <utility>
#include <vector>

namespace symopt { inline namespace SYMOPT_ABI { namespace detail {

/// Who lies at which addresses, to find those that a new interval meets without asking all of them. Intervals
/// that meet each other, as the column ranges of one matrix do, are kept together as one.
/// Cost: of an interval that meets no other, the logarithm of their number; else also the number of those
/// that were kept together with the ones that it meets. Adding also moves what lies behind in a vector:
/// nothing where memory is added in the order of its addresses. A template, so that only who adds parameters
/// compiles it.
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
    Interval interval;
    std::vector<Owned> owned;
  };

  static constexpr std::less<Address> before{};

  /// The first piece that ends beyond an address.
  static auto first_meeting(auto& pieces, Address begin) {
    return std::partition_point(pieces.begin(), pieces.end(), [begin](const Piece& piece) {
      return !before(begin, piece.interval.second);
    });
  }

 public:
  /// Calls visit(owner) for everybody who was added with an interval that meets this one.
  void for_each_meeting(Interval interval, const auto& visit) const {
    if (!before(interval.first, interval.second)) return;
    for (auto piece = first_meeting(pieces_, interval.first);
         piece != pieces_.end() && before(piece->interval.first, interval.second); ++piece)
      for (const Owned& owned : piece->owned)
        if (before(interval.first, owned.interval.second) && before(owned.interval.first, interval.second))
          visit(owned.owner);
  }

  /// Adds one. Nothing for an interval without addresses.
  void add(Interval interval, std::size_t owner) {
    if (!before(interval.first, interval.second)) return;
    Piece united{interval, {{interval, owner}}};
    const auto first = first_meeting(pieces_, interval.first);
    auto last = first;
    for (; last != pieces_.end() && before(last->interval.first, interval.second); ++last) {
      united.interval.first = std::min(united.interval.first, last->interval.first, before);
      united.interval.second = std::max(united.interval.second, last->interval.second, before);
      std::vector<Owned>& others = last->owned;
      if (others.size() > united.owned.size()) others.swap(united.owned);  // the fewer ones are moved
      united.owned.insert(united.owned.end(), others.begin(), others.end());
    }
    if (first == last) {
      pieces_.insert(first, std::move(united));
    } else {
      *first = std::move(united);
      pieces_.erase(first + 1, last);
    }
  }

 private:
  std::vector<Piece> pieces_;  // by address; no two meet
};

}}}  // namespace symopt::detail
