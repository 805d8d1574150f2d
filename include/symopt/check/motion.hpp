// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/check/any_group.hpp>

#include <cmath>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace symopt { inline namespace SYMOPT_ABI { namespace check {

/// One group element as it moves the three kinds of matrix.
struct Motion {
  using Map = std::function<WideMatrix(const WideMatrix&)>;

  std::string name;
  Map on_weights;
  Map on_gradient;
  Map on_update;
  Map weights_back{};   ///< the inverse of on_weights; none where nothing is known of it
  Map gradient_back{};  ///< the inverse of on_gradient, where there is that of on_weights
};

Motion motion_of(const AnyGroup& group, const AnyGroup::Element& g, std::string name);
/// The generators of a group, by their numbers.
std::vector<Motion> generator_motions(const AnyGroup& group, Shape shape);

/// A generator that can be said in a few words: two lines of a side change places, one changes its sign, two
/// rotate, or every line of it is shifted by one along a coordinate.
struct SimpleMove {
  enum class Kind { swap, sign, rotation, shift };

  Kind kind = Kind::swap;
  Side side = Side::left;
  Index first = 0;   ///< a line of that side; of a shift the coordinate, a line of the other side
  Index second = 0;  ///< of a swap or a rotation
  int eighths = 0;   ///< of a turn, of a rotation

  std::string name() const;
  Motion motion() const;
  /// This move in a block without that line; none when it moves the line.
  std::optional<SimpleMove> without(Side removed_from, Index line) const;
};

/// The simple moves in a group: enough that every orthogonal generator or shift it has is a product of some
/// of them or their like.
std::vector<SimpleMove> simple_moves(const AnyGroup& group, Shape shape);

namespace detail {

/// A map that leaves blocks as they are.
Motion::Map unmoved();

}  // namespace detail

#ifdef SYMOPT_CHECK_DEFINITIONS
SYMOPT_CHECK_INLINE Motion::Map detail::unmoved() {
  return [](const WideMatrix& block) { return block; };
}

SYMOPT_CHECK_INLINE Motion motion_of(const AnyGroup& group, const AnyGroup::Element& g, std::string name) {
  const AnyGroup::Element back = group.inverse(g);
  return {std::move(name),
          [&group, g](const WideMatrix& block) { return group.on_weights(g, block); },
          [&group, g](const WideMatrix& block) { return group.on_gradient(g, block); },
          [&group, g](const WideMatrix& block) { return group.on_update(g, block); },
          [&group, back](const WideMatrix& block) { return group.on_weights(back, block); },
          [&group, back](const WideMatrix& block) { return group.on_gradient(back, block); }};
}

SYMOPT_CHECK_INLINE std::vector<Motion> generator_motions(const AnyGroup& group, Shape shape) {
  std::vector<Motion> motions;
  for (const auto& g : group.generators(shape))
    motions.push_back(motion_of(group, g, "generator " + std::to_string(motions.size())));
  return motions;
}

SYMOPT_CHECK_INLINE std::string SimpleMove::name() const {
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

namespace detail {

/// Entry k of line i of a side.
SYMOPT_CHECK_INLINE Wide& entry_of_line(WideMatrix& block, Side side, Index i, Index k) {
  return side == Side::left ? block(i, k) : block(k, i);
}

/// The move, or its inverse for a direction of -1.
SYMOPT_CHECK_INLINE WideMatrix moved_simply(WideMatrix block, const SimpleMove& move, int direction) {
  using Kind = SimpleMove::Kind;
  if (move.kind == Kind::shift) {
    for (Index i = 0; i < extent(shape_of(block), move.side); ++i)
      entry_of_line(block, move.side, i, move.first) += direction;
    return block;
  }
  for (Index k = 0; k < extent(shape_of(block), opposite(move.side)); ++k) {
    Wide& first = entry_of_line(block, move.side, move.first, k);
    Wide& second = entry_of_line(block, move.side, move.second, k);
    const Wide a = first, b = second;
    if (move.kind == Kind::sign) {
      first = -a;
    } else if (move.kind == Kind::swap) {
      first = b;
      second = a;
    } else if (move.eighths == 2) {  // by a quarter, so that integers stay integers
      first = -b * direction;
      second = a * direction;
    } else {
      first = std::sqrt(Wide(0.5)) * (a - b * direction);
      second = std::sqrt(Wide(0.5)) * (a * direction + b);
    }
  }
  return block;
}

}  // namespace detail

SYMOPT_CHECK_INLINE Motion SimpleMove::motion() const {
  const auto by = [this](int direction) -> Motion::Map {
    return [move = *this, direction](const WideMatrix& block) {
      return detail::moved_simply(block, move, direction);
    };
  };
  const Motion::Map stay = detail::unmoved();
  if (kind == Kind::shift) return {name(), by(1), stay, stay, by(-1), stay};
  return {name(), by(1), by(1), by(1), by(-1), by(-1)};
}

SYMOPT_CHECK_INLINE std::optional<SimpleMove> SimpleMove::without(Side removed_from, Index line) const {
  const bool has_two = kind == Kind::swap || kind == Kind::rotation;
  if (removed_from != (kind == Kind::shift ? opposite(side) : side)) return *this;
  if (line == first || (has_two && line == second)) return std::nullopt;
  SimpleMove moved = *this;
  if (line < moved.first) --moved.first;
  if (has_two && line < moved.second) --moved.second;
  return moved;
}

SYMOPT_CHECK_INLINE std::vector<SimpleMove> simple_moves(const AnyGroup& group, Shape shape) {
  using Kind = SimpleMove::Kind;
  std::vector<SimpleMove> moves;
  if (!group.has_all_its_families()) return moves;
  for (const Side side : {Side::left, Side::right}) {
    const SideFamilies families = group.families().on(side);
    for (Index i = 0; i < extent(shape, side); ++i) {
      if (families.has_signs()) moves.push_back({Kind::sign, side, i, i});
      if (i == 0) continue;
      if (families.has_permutations()) moves.push_back({Kind::swap, side, i - 1, i});
      const int head = families.block_rotations;
      if (families.rotations || (head > 0 && i % head != 0))
        for (const int eighths : {2, 1}) moves.push_back({Kind::rotation, side, i - 1, i, eighths});
    }
    if (families.translations)
      for (Index k = 0; k < extent(shape, opposite(side)); ++k) moves.push_back({Kind::shift, side, k});
  }
  return moves;
}
#endif

}}}  // namespace symopt::check
