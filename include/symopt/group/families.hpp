// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/side.hpp>

#include <numeric>

namespace symopt { inline namespace SYMOPT_ABI {

/// The families of generators that a group has on one side of a block. Every question about the order of
/// groups (subgroup, meet, admissibility) is answered here, family by family, at compile time: the elements
/// under which a map is equivariant form a group, so its generators decide.
///
/// A family may imply others: rotations contain everything orthogonal, permutations of single lines
/// contain permutations of blocks of lines. The members hold what was stated; the functions know what
/// follows.
struct SideFamilies {
  bool permutations = false;       ///< exchange of two lines (rows on the left, columns on the right)
  bool signs = false;              ///< change of sign of one line
  bool rotations = false;          ///< every orthogonal matrix
  bool positive_scalings = false;  ///< multiplication of one line by a positive number
  bool translations = false;       ///< the same line added to all
  int block_rotations = 0;         ///< orthogonal matrices within consecutive blocks of that many lines
  int block_permutations = 0;      ///< exchange of two such blocks

  /// Tests whether a family is stated, or follows from what is stated.
  ///@{
  constexpr bool has_permutations() const { return permutations || rotations; }
  constexpr bool has_signs() const { return signs || rotations || block_rotations > 0; }
  constexpr bool has_block_rotations(int size) const {
    return rotations || (size == 1 && has_signs()) ||
           (block_rotations > 0 && size > 0 && block_rotations % size == 0);
  }
  constexpr bool has_block_permutations(int size) const {
    return has_permutations() || (block_permutations > 0 && size % block_permutations == 0);
  }
  ///@}
  /// Tests whether there is anything but translations.
  constexpr bool is_linear() const {
    return permutations || signs || rotations || positive_scalings || block_rotations > 0 ||
           block_permutations > 0;
  }

  /// Tests whether every linear family of `other` is also one of these.
  constexpr bool contains_linear(const SideFamilies& other) const {
    return (!other.has_permutations() || has_permutations()) && (!other.has_signs() || has_signs()) &&
           (!other.rotations || rotations) && (!other.positive_scalings || positive_scalings) &&
           (other.block_rotations == 0 || has_block_rotations(other.block_rotations)) &&
           (other.block_permutations == 0 || has_block_permutations(other.block_permutations));
  }

  /// Tests whether every family of `other` is also one of these.
  constexpr bool contains(const SideFamilies& other) const {
    return contains_linear(other) && (!other.translations || translations);
  }

  friend constexpr bool operator==(const SideFamilies& a, const SideFamilies& b) {
    return a.contains(b) && b.contains(a);
  }
};

namespace detail {

inline constexpr SideFamilies signed_permutations{.permutations = true, .signs = true};
inline constexpr SideFamilies all_rotations{.rotations = true};

/// The families of generators that both have.
constexpr SideFamilies meet(const SideFamilies& a, const SideFamilies& b) {
  // An unlimited family (rotations, permutations) leaves the other's block size; two sizes share the blocks
  // that fit both.
  const auto rotations_of = [](int ours, bool all, int theirs, bool all_theirs) {
    if (all) return theirs;
    if (all_theirs) return ours;
    return (ours > 0 && theirs > 0) ? std::gcd(ours, theirs) : 0;
  };
  const auto permutations_of = [](int ours, bool all, int theirs, bool all_theirs) {
    if (all) return theirs;
    if (all_theirs) return ours;
    return (ours > 0 && theirs > 0) ? std::lcm(ours, theirs) : 0;
  };
  return {.permutations = a.has_permutations() && b.has_permutations(),
          .signs = a.has_signs() && b.has_signs(),
          .rotations = a.rotations && b.rotations,
          .positive_scalings = a.positive_scalings && b.positive_scalings,
          .translations = a.translations && b.translations,
          .block_rotations = rotations_of(a.block_rotations, a.rotations, b.block_rotations, b.rotations),
          .block_permutations = permutations_of(a.block_permutations, a.has_permutations(),
                                                b.block_permutations, b.has_permutations())};
}

/// The families of generators that either has: those of the factors of a product together.
constexpr SideFamilies combined(const SideFamilies& a, const SideFamilies& b) {
  return {.permutations = a.permutations || b.permutations,
          .signs = a.signs || b.signs,
          .rotations = a.rotations || b.rotations,
          .positive_scalings = a.positive_scalings || b.positive_scalings,
          .translations = a.translations || b.translations,
          .block_rotations = a.block_rotations > 0 ? a.block_rotations : b.block_rotations,
          .block_permutations = a.block_permutations > 0 ? a.block_permutations : b.block_permutations};
}

}  // namespace detail

/// The families of both sides of a block.
struct Families {
  SideFamilies left{};   ///< what acts on the rows
  SideFamilies right{};  ///< what acts on the columns

  /// The families on one side.
  constexpr const SideFamilies& on(Side side) const { return side == Side::left ? left : right; }
  /// Tests, side by side, whether every linear family of `other` is also one of these.
  constexpr bool contains_linear(const Families& other) const {
    return left.contains_linear(other.left) && right.contains_linear(other.right);
  }
  /// Tests, side by side, whether every family of `other` is also one of these.
  constexpr bool contains(const Families& other) const {
    return left.contains(other.left) && right.contains(other.right);
  }
  friend constexpr bool operator==(const Families&, const Families&) = default;
};

namespace detail {

/// The families that both groups have, those that either has, and those with rows and columns exchanged, side
/// by side.
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
