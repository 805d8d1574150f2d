// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/abi.hpp>

#include <algorithm>
#include <cstddef>
#include <functional>
#include <utility>
#include <vector>

namespace symopt { inline namespace SYMOPT_ABI { namespace detail {

/// Who lies at which addresses, to find those that a new range meets without asking all of them. Ranges that
/// meet each other, as the column ranges of one matrix do, are kept together as one.
/// Cost: of a range that meets no other, the logarithm of their number; else also the number of those that
/// were kept together with the ones that it meets. Adding also moves what lies behind in a vector: nothing
/// where memory is added in the order of its addresses.
template <class Scalar>
class OccupiedMemory {
 public:
  /// The first address and the one past the last.
  using Range = std::pair<const Scalar*, const Scalar*>;

  /// Calls visit(owner) for everybody who was added with a range that meets this one.
  void for_each_meeting(Range range, const auto& visit) const {
    if (!before(range.first, range.second)) return;
    for (auto piece = first_meeting(range.first);
         piece != pieces_.end() && before(piece->range.first, range.second); ++piece)
      for (const Resident& resident : piece->residents)
        if (before(range.first, resident.range.second) && before(resident.range.first, range.second))
          visit(resident.owner);
  }

  /// Adds one. Nothing for a range without addresses.
  void add(Range range, std::size_t owner) {
    if (!before(range.first, range.second)) return;
    Piece united{range, {{range, owner}}};
    const auto first = first_meeting(range.first);
    auto last = first;
    for (; last != pieces_.end() && before(last->range.first, range.second); ++last) {
      united.range.first = std::min(united.range.first, last->range.first, before);
      united.range.second = std::max(united.range.second, last->range.second, before);
      std::vector<Resident>& others = last->residents;
      if (others.size() > united.residents.size()) others.swap(united.residents);  // the fewer ones are moved
      united.residents.insert(united.residents.end(), others.begin(), others.end());
    }
    if (first == last) {
      pieces_.insert(first, std::move(united));
    } else {
      *first = std::move(united);
      pieces_.erase(first + 1, last);
    }
  }

 private:
  struct Resident {
    Range range;
    std::size_t owner;
  };
  struct Piece {
    Range range;
    std::vector<Resident> residents;
  };

  static constexpr std::less<const Scalar*> before{};

  /// The first piece that ends beyond an address.
  static auto first_meeting_of(auto& pieces, const Scalar* begin) {
    return std::partition_point(pieces.begin(), pieces.end(),
                                [begin](const Piece& piece) { return !before(begin, piece.range.second); });
  }
  auto first_meeting(const Scalar* begin) const { return first_meeting_of(pieces_, begin); }
  auto first_meeting(const Scalar* begin) { return first_meeting_of(pieces_, begin); }

  std::vector<Piece> pieces_;  // by address; no two meet
};

}}}  // namespace symopt::detail
