// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/abi.hpp>

#include <algorithm>
#include <cstddef>
#include <functional>
#include <iterator>
#include <map>
#include <utility>
#include <vector>

namespace symopt::inline SYMOPT_ABI::detail {

/// Who lies at which addresses, to find those that a new range meets without asking all of them. Ranges that
/// meet each other, as the column ranges of one matrix do, are kept together as one.
/// Cost: of a range that meets no other, the logarithm of their number; else also the number of those that
/// were kept together with the ones that it meets.
template <class Scalar>
class OccupiedMemory {
 public:
  /// The first address and the one past the last.
  using Range = std::pair<const Scalar*, const Scalar*>;

  /// Calls visit(owner) for everybody who was added with a range that meets this one.
  void for_each_meeting(Range range, const auto& visit) const {
    if (!before(range.first, range.second)) return;
    for (auto piece = first_meeting(range.first);
         piece != pieces_.end() && before(piece->first, range.second); ++piece)
      for (const Resident& resident : piece->second.residents)
        if (before(range.first, resident.range.second) && before(resident.range.first, range.second))
          visit(resident.owner);
  }

  /// Adds one. Nothing for a range without addresses.
  void add(Range range, std::size_t owner) {
    if (!before(range.first, range.second)) return;
    Piece united{range.second, {{range, owner}}};
    const Scalar* begin = range.first;
    auto piece = first_meeting(range.first);
    while (piece != pieces_.end() && before(piece->first, range.second)) {
      begin = std::min(begin, piece->first, before);
      united.end = std::max(united.end, piece->second.end, before);
      std::vector<Resident>& others = piece->second.residents;
      if (others.size() > united.residents.size()) others.swap(united.residents);  // the fewer ones are moved
      united.residents.insert(united.residents.end(), others.begin(), others.end());
      piece = pieces_.erase(piece);
    }
    pieces_.emplace_hint(piece, begin, std::move(united));
  }

 private:
  struct Resident {
    Range range;
    std::size_t owner;
  };
  struct Piece {
    const Scalar* end;
    std::vector<Resident> residents;
  };
  using Pieces = std::map<const Scalar*, Piece, std::less<>>;  // by the first address; no two meet

  static constexpr std::less<const Scalar*> before{};

  /// The first piece that ends beyond an address.
  static auto first_meeting_of(auto& pieces, const Scalar* begin) {
    auto piece = pieces.upper_bound(begin);
    if (piece != pieces.begin() && before(begin, std::prev(piece)->second.end)) --piece;
    return piece;
  }
  auto first_meeting(const Scalar* begin) const { return first_meeting_of(pieces_, begin); }
  auto first_meeting(const Scalar* begin) { return first_meeting_of(pieces_, begin); }

  Pieces pieces_;
};

}  // namespace symopt::detail
