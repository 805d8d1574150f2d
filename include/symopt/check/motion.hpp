// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/check/any_group.hpp>
#include <symopt/group/haar.hpp>

#include <cmath>
#include <functional>
#include <numbers>
#include <optional>
#include <string>
#include <vector>

namespace symopt { inline namespace SYMOPT_ABI { namespace check {

/// One group element as it moves the three kinds of matrix.
struct Motion {
  using Map = std::function<WideMatrix(const WideMatrix&)>;

  std::string name;
  Map on_weights;
  Map on_gradient;
  Map on_update;
};

inline Motion motion_of(const AnyGroup& group, const AnyGroup::Element& g, std::string name) {
  return {std::move(name), [&group, g](const WideMatrix& block) { return group.on_weights(g, block); },
          [&group, g](const WideMatrix& block) { return group.on_gradient(g, block); },
          [&group, g](const WideMatrix& block) { return group.on_update(g, block); }};
}

/// A generator that can be said in a few words: two lines of a side change places, one changes its sign, two
/// rotate, or every line of it is shifted by one along a coordinate.
struct SimpleMove {
  enum class Kind { swap, sign, rotation, shift };

  Kind kind = Kind::swap;
  Side side = Side::left;
  Index first = 0;   ///< a line of that side; of a shift the coordinate, a line of the other side
  Index second = 0;  ///< of a swap or a rotation
  int eighths = 0;   ///< of a turn, of a rotation

  std::string name() const {
    if (kind == Kind::shift)
      return (side == Side::left ? "weights with 1 added to all of column "
                                 : "weights with 1 added to all of row ") +
             std::to_string(first);
    const std::string where = side == Side::left ? "left " : "right ";
    const std::string lines = "(" + std::to_string(first) + "," + std::to_string(second) + ")";
    if (kind == Kind::swap) return where + "swap " + lines;
    if (kind == Kind::sign) return where + "sign of " + std::to_string(first);
    return where + "rotation " + lines + (eighths == 2 ? " by pi/2" : " by pi/4");
  }

  Motion motion(Shape shape) const {
    if (kind == Kind::shift) {
      const auto unmoved = [](const WideMatrix& block) { return block; };
      const Motion::Map shift = [k = first, on = side](WideMatrix block) -> WideMatrix {
        if (on == Side::left) {
          block.col(k).array() += 1;
        } else {
          block.row(k).array() += 1;
        }
        return block;
      };
      return {name(), shift, unmoved, unmoved};
    }
    WideMatrix q = WideMatrix::Identity(line_count(shape, side), line_count(shape, side));
    if (kind == Kind::swap) {
      q.row(first).swap(q.row(second));
    } else if (kind == Kind::sign) {
      q(first, first) = -1;
    } else {
      // Exact zeros at a quarter turn, so that integers stay integers.
      const Wide cosine = eighths == 2 ? Wide(0) : std::sqrt(Wide(0.5));
      const Wide sine = eighths == 2 ? Wide(1) : std::sqrt(Wide(0.5));
      q(first, first) = q(second, second) = cosine;
      q(second, first) = sine;
      q(first, second) = -sine;
    }
    const Motion::Map move = [q, on = side](const WideMatrix& block) -> WideMatrix {
      if (on == Side::left) return q * block;
      return block * q.transpose();
    };
    return {name(), move, move, move};
  }

  /// The same move in a block without that line; none when it moves the line.
  std::optional<SimpleMove> without(Side removed_from, Index line) const {
    const bool has_two = kind == Kind::swap || kind == Kind::rotation;
    if (removed_from != (kind == Kind::shift ? opposite(side) : side)) return *this;
    if (line == first || (has_two && line == second)) return std::nullopt;
    SimpleMove moved = *this;
    if (line < moved.first) --moved.first;
    if (has_two && line < moved.second) --moved.second;
    return moved;
  }
};

/// The simple moves in a group: enough that every orthogonal generator or shift it has is a product of some
/// of them or their like.
inline std::vector<SimpleMove> simple_moves(const AnyGroup& group, Shape shape) {
  using Kind = SimpleMove::Kind;
  std::vector<SimpleMove> moves;
  if (!group.has_all_its_families()) return moves;
  for (const Side side : {Side::left, Side::right}) {
    const SideFamilies families = group.families().on(side);
    for (Index i = 0; i < line_count(shape, side); ++i) {
      if (families.has_signs()) moves.push_back({Kind::sign, side, i, i});
      if (i == 0) continue;
      if (families.has_swaps()) moves.push_back({Kind::swap, side, i - 1, i});
      const int head = families.block_rotations;
      if (families.rotations || (head > 0 && i % head != 0))
        for (const int eighths : {2, 1}) moves.push_back({Kind::rotation, side, i - 1, i, eighths});
    }
    if (families.translations)
      for (Index k = 0; k < line_count(shape, opposite(side)); ++k) moves.push_back({Kind::shift, side, k});
  }
  return moves;
}

}}}  // namespace symopt::check
