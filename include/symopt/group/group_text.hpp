// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/group/families.hpp>

#include <string>

namespace symopt { inline namespace SYMOPT_ABI { namespace detail {

inline std::string families_text(const SideFamilies& side) {
  if (side.rotations) return "O";
  if (side.block_rotations > 0) return "O(" + std::to_string(side.block_rotations) + ") per head";
  if (side.permutations) return side.signs ? "B" : "S";
  return side.is_linear() ? "other" : "1";
}

/// "S x O + shift": the linear factors of the rows and of the columns (O orthogonal, S permutations, B signed
/// permutations, 1 none), then the shifts.
inline std::string group_text(const Families& families) {
  std::string text = families_text(families.left) + " x " + families_text(families.right);
  if (families.left.translations) text += " + shift";
  if (families.right.translations) text += " + column shift";
  return text;
}

}}}  // namespace symopt::detail
