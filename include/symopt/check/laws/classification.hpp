// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/check/laws/equivariance.hpp>
#include <symopt/check/laws/homogeneity.hpp>
#include <symopt/check/laws/shift.hpp>
#include <symopt/check/laws/side_symmetry.hpp>
#include <symopt/check/one_sided_group.hpp>
#include <symopt/finite.hpp>
#include <symopt/group/shift.hpp>
#include <symopt/group/trivial.hpp>

#include <algorithm>
#include <cmath>
#include <optional>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

namespace symopt { inline namespace SYMOPT_ABI { namespace check {

/// The symmetries of a rule or of an optimizer, as far as the generators of GeneratorKind, a shift of the
/// rows and scalings can tell.
struct Classification {
  std::string rule;                            ///< the rule or the optimizer that was classified
  int steps = 0;                               ///< of an optimizer's trajectories; 0: a rule was classified
  SideSymmetry left;                           ///< under generators on the rows
  SideSymmetry right;                          ///< under generators on the columns
  Verdict equivariant = Verdict::vacuous;      ///< E: weights that share a shift have the same step
  Verdict horizontal = Verdict::vacuous;       ///< H: 1^T G = 0 implies 1^T U = 0
  Verdict shift_invariant = Verdict::vacuous;  ///< I: U(G + 1 a^T) = U(G)
  std::optional<double> degree{};  ///< d with U(c G) = c^d U(G), c > 0; nothing when there is none
  bool is_exact = false;           ///< so to the last bit for powers of two; not asked of optimizers
  std::vector<Report> reports{};   ///< of everything that was tried

  /// "B | O", or "vacuous" for a rule whose output never changes.
  std::string group() const {
    if (equivariant == Verdict::vacuous) return "vacuous";
    return left.letter() + " | " + right.letter();
  }
  /// The largest shipped group that the rule respects, as C++ spells it: what a rule of yours states as its
  /// member largest_group. "Product<SignedRowPermutation, RightOrthogonal>"; "Trivial" for none.
  std::string largest_group() const {
    const std::string on_left = left.shipped_group(Side::left), on_right = right.shipped_group(Side::right);
    if (on_left.empty() || on_right.empty())
      return on_left.empty() && on_right.empty() ? "Trivial" : on_left + on_right;
    return "Product<" + on_left + ", " + on_right + ">";
  }
};

/// The row of the rule in the table of docs/derivation.md, and for each side a counterexample that shows that
/// its group is no larger.
std::ostream& operator<<(std::ostream& out, const Classification& row);

namespace detail {

/// The blocks that tell largest groups apart, in whole heads of that size; of one line each for 0.
std::vector<Shape> classification_shapes(int head_size);
/// Lines of 17 and 19 entries or whole heads, for rules that see a few of them at a time.
std::vector<Shape> longer_classification_shapes(int head_size);
/// The degree of which the size of a step shows this one for a gradient scaled by 2^doublings. Nothing for a
/// step of zero.
std::optional<double> degree_shown(Wide size, Wide scaled_size, int doublings, double allowed);

/// Asks whatever obeys laws, a rule or an optimizer, for one after the other.
class Classifier {
 public:
  virtual ~Classifier() = default;
  Classification run(std::string name, int head_size);

 protected:
  /// The finding on a law.
  virtual Verdict verdict(Law law, const AnyGroup& group) = 0;
  /// E, where the other properties under the shift are known.
  virtual Verdict equivariant(const AnyGroup& shift) = 0;
  /// The degree as one block shows it, which the law must then confirm on all.
  virtual std::optional<double> shown_degree() const = 0;
  virtual bool asks_for_exact_degree() const = 0;

  Verdict add(Report report) {
    row_.reports.push_back(std::move(report));
    return row_.reports.back().verdict;
  }
  const Classification& row() const { return row_; }

 private:
  SideSymmetry side(Side side, int head_size);
  void scale();

  Classification row_;
};

}  // namespace detail

#ifdef SYMOPT_CHECK_DEFINITIONS
SYMOPT_CHECK_INLINE std::ostream& operator<<(std::ostream& out, const Classification& row) {
  const auto yes_or_no = [](Verdict verdict) {
    return verdict == Verdict::holds ? "yes" : verdict == Verdict::violated ? "no" : to_string(verdict);
  };
  out << row.rule << ": " << row.group();
  if (row.steps > 0) out << ", in trajectories of " << row.steps << " steps";
  if (row.equivariant != Verdict::vacuous) out << "\n  using largest_group = " << row.largest_group() << ';';
  out << "\n  shift of the rows: E " << yes_or_no(row.equivariant) << ", H " << yes_or_no(row.horizontal)
      << ", I " << yes_or_no(row.shift_invariant) << "\n  ";
  if (row.degree) {
    out << "homogeneous of degree " << detail::degree_text(*row.degree);
    if (row.steps == 0)
      out << (row.is_exact ? ", to the bit under powers of two" : ", though not to the bit");
  } else {
    out << "not homogeneous";
  }
  for (const Side side : {Side::left, Side::right})
    for (const GeneratorKind kind :
         {GeneratorKind::permutations, GeneratorKind::signs, GeneratorKind::rotations}) {
      const std::string group = OneSidedGroup(side, kind).name();
      const auto is_failure = [&](const Report& report) {
        return report.group == group && report.counterexample;
      };
      const auto found = std::find_if(row.reports.begin(), row.reports.end(), is_failure);
      if (found == row.reports.end()) continue;
      out << "\n  not " << group << ": " << *found->counterexample;
      break;
    }
  return out << '\n';
}

namespace detail {

SYMOPT_CHECK_INLINE std::vector<Shape> classification_shapes(int head_size) {
  const Index unit = std::max(1, head_size);
  std::vector<Shape> shapes{{2, 2}, {1, 3}, {3, 1}, {4, 3}, {3, 5}};
  for (Shape& shape : shapes) shape = {shape.rows * unit, shape.cols * unit};
  return shapes;
}

SYMOPT_CHECK_INLINE std::vector<Shape> longer_classification_shapes(int head_size) {
  const Index unit = std::max(1, head_size);
  return {{17 * unit, 3 * unit}, {3 * unit, 19 * unit}};
}

SYMOPT_CHECK_INLINE std::optional<double> degree_shown(Wide size, Wide scaled_size, int doublings,
                                                       double allowed) {
  const double degree = static_cast<double>(std::log2(scaled_size / size)) / doublings;
  if (!symopt::detail::is_finite(degree)) return std::nullopt;
  const double nearest = std::round(1000 * degree) / 1000 + 0.0;  // no -0
  return std::abs(degree - nearest) <= allowed ? nearest : degree;
}

SYMOPT_CHECK_INLINE Classification Classifier::run(std::string name, int head_size) {
  row_.rule = std::move(name);
  row_.left = side(Side::left, head_size);
  row_.right = side(Side::right, head_size);
  const ErasedGroup<SharedShift> shift;
  row_.horizontal = verdict(horizontal_law(shift), shift);
  row_.shift_invariant = verdict(shift_law(shift), shift);
  row_.equivariant = equivariant(shift);
  scale();
  return std::move(row_);
}

SYMOPT_CHECK_INLINE SideSymmetry Classifier::side(Side side, int head_size) {
  SideSymmetry symmetry;
  symmetry.head_size = head_size;
  const auto check_kind = [&](GeneratorKind kind) {
    const OneSidedGroup group(side, kind, head_size);
    symmetry.set(kind, verdict(equivariance_law(group), group));
  };
  using enum GeneratorKind;
  check_kind(positive_scalings);
  check_kind(rotations);
  if (symmetry.has(rotations)) {
    for (const GeneratorKind part :
         {negation, permutations, signs, block_rotations, block_permutations, stabilizer_of_ones})
      symmetry.set(part, Verdict::holds);
    return symmetry;
  }
  for (const GeneratorKind kind : {negation, permutations, signs, stabilizer_of_ones}) check_kind(kind);
  if (head_size > 0)
    for (const GeneratorKind kind : {block_rotations, block_permutations}) check_kind(kind);
  return symmetry;
}

SYMOPT_CHECK_INLINE void Classifier::scale() {
  const auto degree = shown_degree();
  if (!degree) return;
  const ErasedGroup<Trivial> group;
  if (verdict(homogeneity_law(*degree), group) != Verdict::holds) return;
  row_.degree = degree;
  row_.is_exact = asks_for_exact_degree() && exact_doublings(*degree) &&
                  verdict(exact_homogeneity_law(*degree), group) == Verdict::holds;
}

}  // namespace detail
#endif

}}}  // namespace symopt::check
