// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/check/generator_kind.hpp>
#include <symopt/check/linkage.hpp>
#include <symopt/check/report.hpp>
#include <symopt/side.hpp>

#include <array>
#include <cstddef>
#include <string>

namespace symopt { inline namespace SYMOPT_ABI { namespace check {

/// The kinds of generators on the lines of one side under which a rule is equivariant.
class SideSymmetry {
 public:
  /// The verdict for one kind: read, written, and whether it holds.
  ///@{
  Verdict operator[](GeneratorKind kind) const { return verdicts_[static_cast<std::size_t>(kind)]; }
  void set(GeneratorKind kind, Verdict verdict) { verdicts_[static_cast<std::size_t>(kind)] = verdict; }
  bool has(GeneratorKind kind) const { return (*this)[kind] == Verdict::holds; }
  ///@}

  int head_size = 0;  ///< of the heads that were tried; 0: none were

  /// The largest of these groups that the rule has:
  ///   1 none, +-1 the sign of the block, S permutations, +-S with that sign, signs (alone), B signed
  ///   permutations, R_h rotations within heads of h lines with exchanges of heads, St the orthogonal
  ///   matrices that keep the vector of ones up to its sign, O all orthogonal ones; Mon, GL and "with
  ///   scalings": B, O and the others together with positive scalings. A question mark: something larger was
  ///   inconclusive.
  std::string letter() const;
  /// The largest shipped group within it, as C++ names it on that side: "SignedRowPermutation". Empty: none.
  std::string shipped_group(Side side) const;

 private:
  std::string orthogonal_letter() const;

  std::array<Verdict, 8> verdicts_{Verdict::vacuous, Verdict::vacuous, Verdict::vacuous, Verdict::vacuous,
                                   Verdict::vacuous, Verdict::vacuous, Verdict::vacuous, Verdict::vacuous};
};

#ifdef SYMOPT_CHECK_DEFINITIONS
SYMOPT_CHECK_INLINE std::string SideSymmetry::letter() const {
  const bool scales = has(GeneratorKind::positive_scalings);
  std::string text = orthogonal_letter();
  if (scales)
    text = text == "O" ? "GL" : text == "B" ? "Mon" : text == "1" ? "scalings" : text + " with scalings";
  for (const Verdict verdict : verdicts_)
    if (verdict == Verdict::inconclusive) return text + "?";
  return text;
}

SYMOPT_CHECK_INLINE std::string SideSymmetry::shipped_group(Side side) const {
  const bool is_left = side == Side::left;
  const std::string letter = orthogonal_letter();
  if (letter == "O") return is_left ? "LeftOrthogonal" : "RightOrthogonal";
  if (letter == "B") return is_left ? "SignedRowPermutation" : "SignedColumnPermutation";
  if (letter.starts_with("R_"))
    return std::string("HeadRotations<Side::") + (is_left ? "left" : "right") + ", " +
           std::to_string(head_size) + ">";
  if (letter == "1" || letter == "+-1" || letter == "signs") return {};
  return is_left ? "RowPermutation" : "ColumnPermutation";
}

SYMOPT_CHECK_INLINE std::string SideSymmetry::orthogonal_letter() const {
  using enum GeneratorKind;
  if (has(rotations)) return "O";
  if (has(permutations) && has(signs)) return "B";
  if (has(block_rotations) && has(block_permutations)) return "R_" + std::to_string(head_size);
  if (has(stabilizer_of_ones)) return "St";
  if (has(permutations)) return has(negation) ? "+-S" : "S";
  if (has(signs)) return "signs";
  return has(negation) ? "+-1" : "1";
}
#endif

}}}  // namespace symopt::check
