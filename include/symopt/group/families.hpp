// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/side.hpp>

#include <numeric>

namespace symopt { inline namespace SYMOPT_ABI {

/// Which families of generators a group has on one side of a block. Every question about the order
/// of groups (subgroup, meet, admissibility) is answered here, family by family, at compile time:
/// the elements under which a map is equivariant form a group, so its generators decide.
///
/// A family may imply others: rotations contain everything orthogonal, swaps of single lines
/// contain swaps of blocks of lines. The members hold what was stated; the functions know what follows.
struct SideFamilies {
  bool swaps = false;              ///< exchange of two lines (rows on the left, columns on the right)
  bool signs = false;              ///< change of sign of one line
  bool rotations = false;          ///< every orthogonal matrix
  bool positive_scalings = false;  ///< multiplication of one line by a positive number
  bool translations = false;       ///< the same line added to all
  int block_rotations = 0;         ///< orthogonal matrices within consecutive blocks of that many lines
  int block_swaps = 0;             ///< exchange of two such blocks

  /// Stated, or following from what is stated.
  ///@{
  constexpr bool has_swaps() const { return swaps || rotations; }
  constexpr bool has_signs() const { return signs || rotations || block_rotations > 0; }
  constexpr bool has_block_rotations(int size) const {
    return rotations || (size == 1 && has_signs()) ||
           (block_rotations > 0 && size > 0 && block_rotations % size == 0);
  }
  constexpr bool has_block_swaps(int size) const {
    return has_swaps() || (block_swaps > 0 && size % block_swaps == 0);
  }
  ///@}
  /// True when there is anything but translations.
  constexpr bool is_linear() const {
    return swaps || signs || rotations || positive_scalings || block_rotations > 0 || block_swaps > 0;
  }

  /// True when every linear family of `other` is also one of these.
  constexpr bool contains_linear(const SideFamilies& other) const {
    return (!other.has_swaps() || has_swaps()) && (!other.has_signs() || has_signs()) &&
           (!other.rotations || rotations) && (!other.positive_scalings || positive_scalings) &&
           (other.block_rotations == 0 || has_block_rotations(other.block_rotations)) &&
           (other.block_swaps == 0 || has_block_swaps(other.block_swaps));
  }

  /// True when every family of `other` is also one of these.
  constexpr bool contains(const SideFamilies& other) const {
    return contains_linear(other) && (!other.translations || translations);
  }

  friend constexpr bool operator==(const SideFamilies& a, const SideFamilies& b) {
    return a.contains(b) && b.contains(a);
  }
};

namespace detail {

/// The families common to both.
constexpr SideFamilies meet(const SideFamilies& a, const SideFamilies& b) {
  // An unlimited family (rotations, swaps) leaves the other's block size; two sizes share the blocks
  // that fit both.
  const auto rotations_of = [](int ours, bool all, int theirs, bool all_theirs) {
    if (all) return theirs;
    if (all_theirs) return ours;
    return (ours > 0 && theirs > 0) ? std::gcd(ours, theirs) : 0;
  };
  const auto swaps_of = [](int ours, bool all, int theirs, bool all_theirs) {
    if (all) return theirs;
    if (all_theirs) return ours;
    return (ours > 0 && theirs > 0) ? std::lcm(ours, theirs) : 0;
  };
  return {.swaps = a.has_swaps() && b.has_swaps(),
          .signs = a.has_signs() && b.has_signs(),
          .rotations = a.rotations && b.rotations,
          .positive_scalings = a.positive_scalings && b.positive_scalings,
          .translations = a.translations && b.translations,
          .block_rotations = rotations_of(a.block_rotations, a.rotations, b.block_rotations, b.rotations),
          .block_swaps = swaps_of(a.block_swaps, a.has_swaps(), b.block_swaps, b.has_swaps())};
}

/// The families together (for the factors of a product).
constexpr SideFamilies combined(const SideFamilies& a, const SideFamilies& b) {
  return {.swaps = a.swaps || b.swaps,
          .signs = a.signs || b.signs,
          .rotations = a.rotations || b.rotations,
          .positive_scalings = a.positive_scalings || b.positive_scalings,
          .translations = a.translations || b.translations,
          .block_rotations = a.block_rotations > 0 ? a.block_rotations : b.block_rotations,
          .block_swaps = a.block_swaps > 0 ? a.block_swaps : b.block_swaps};
}

}  // namespace detail

/// The families of both sides of a block.
struct Families {
  SideFamilies left{};   ///< what acts on the rows
  SideFamilies right{};  ///< what acts on the columns

  /// Those of one side.
  constexpr const SideFamilies& on(Side side) const { return side == Side::left ? left : right; }
  /// True when every linear family of `other` is also one of these, side by side.
  constexpr bool contains_linear(const Families& other) const {
    return left.contains_linear(other.left) && right.contains_linear(other.right);
  }
  /// True when every family of `other` is also one of these, side by side.
  constexpr bool contains(const Families& other) const {
    return left.contains(other.left) && right.contains(other.right);
  }
  friend constexpr bool operator==(const Families&, const Families&) = default;
};

namespace detail {

/// Side by side: what both have; what either has; rows and columns exchanged.
///@{
constexpr Families meet(const Families& a, const Families& b) {
  return {meet(a.left, b.left), meet(a.right, b.right)};
}

constexpr Families combined(const Families& a, const Families& b) {
  return {combined(a.left, b.left), combined(a.right, b.right)};
}

constexpr Families mirrored(const Families& a) {
  return {a.right, a.left};
}
///@}

}  // namespace detail

/// The given families on one side, nothing on the other.
constexpr Families families_on(Side side, const SideFamilies& families) {
  return side == Side::left ? Families{families, {}} : Families{{}, families};
}

}}  // namespace symopt
