// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/check/laws/equivariance.hpp>
#include <symopt/check/laws/homogeneity.hpp>
#include <symopt/check/laws/shift.hpp>
#include <symopt/check/laws/side_symmetry.hpp>
#include <symopt/check/one_sided_group.hpp>
#include <symopt/finite.hpp>
#include <symopt/group/shift.hpp>

#include <algorithm>
#include <cmath>
#include <optional>
#include <ostream>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace symopt { inline namespace SYMOPT_ABI { namespace check {

/// The symmetries of a rule, as far as the generators of GeneratorKind, a shift of the rows and scalings can
/// tell.
struct Classification {
  std::string rule;                            ///< the rule that was classified
  SideSymmetry left;                           ///< under generators on the rows
  SideSymmetry right;                          ///< under generators on the columns
  Verdict equivariant = Verdict::vacuous;      ///< E: weights that share a shift have the same step
  Verdict horizontal = Verdict::vacuous;       ///< H: 1^T G = 0 implies 1^T U = 0
  Verdict shift_invariant = Verdict::vacuous;  ///< I: U(G + 1 a^T) = U(G)
  std::optional<double> degree{};  ///< d with U(c G) = c^d U(G), c > 0; nothing when there is none
  bool is_exact = false;           ///< so to the last bit for powers of two
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

Classification classify(const AnyRule& rule, CheckOptions options, int head_size);

}  // namespace detail

/// The row of an unknown rule in the table of docs/derivation.md: its largest group on either side among the
/// kinds of GeneratorKind, E, H and I under a shift of the rows, and its degree of homogeneity. With
/// head_size, also the rotations within heads of so many lines; the shapes are then whole heads. Rule: that
/// of check_equivariance; E tells something of rules that see weights. Every entry is the verdict of a check
/// and holds as far as that: of the groups that are not tried, nothing is said. The reports stop at the first
/// failure. Cost: that of a dozen checks, on small shapes.
template <class Rule>
Classification classify(const Rule& rule, CheckOptions options = {}, int head_size = 0) {
  return detail::classify(any_rule(rule), std::move(options), head_size);
}

#ifdef SYMOPT_CHECK_DEFINITIONS
SYMOPT_CHECK_INLINE std::ostream& operator<<(std::ostream& out, const Classification& row) {
  const auto yes_or_no = [](Verdict verdict) {
    return verdict == Verdict::holds ? "yes" : verdict == Verdict::violated ? "no" : to_string(verdict);
  };
  out << row.rule << ": " << row.group();
  if (row.equivariant != Verdict::vacuous) out << "\n  using largest_group = " << row.largest_group() << ';';
  out << "\n  shift of the rows: E " << yes_or_no(row.equivariant) << ", H " << yes_or_no(row.horizontal)
      << ", I " << yes_or_no(row.shift_invariant) << "\n  ";
  if (row.degree) {
    out << "homogeneous of degree " << detail::degree_text(*row.degree)
        << (row.is_exact ? ", to the bit under powers of two" : ", though not to the bit");
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

/// Checks a rule under one group and law after the other, for the verdicts.
class Classifier {
 public:
  Classifier(const AnyRule& rule, CheckOptions options, int head_size)
      : rule_(rule), options_(std::move(options)), head_size_(head_size) {
    const Index unit = head_size > 0 ? head_size : 1;
    if (!options_.shapes.empty()) return;
    for (const Shape shape : {Shape{2, 2}, {1, 3}, {3, 1}, {4, 3}, {2, 4}})
      options_.shapes.push_back({shape.rows * unit, shape.cols * unit});
  }

  Classification run() {
    row_.rule = options_.name.empty() ? rule_.name : options_.name;
    row_.left = side(Side::left);
    row_.right = side(Side::right);
    const ErasedGroup<SharedShift> shift;
    row_.horizontal = verdict(horizontal_law(shift), shift);
    row_.shift_invariant = verdict(shift_law(shift), shift);
    row_.equivariant = verdict(equivariance_law(shift), shift);
    // The gradient does not move under a shift of the weights.
    const bool changes = row_.horizontal != Verdict::vacuous || row_.shift_invariant != Verdict::vacuous;
    if (!rule_.sees_weights && changes) row_.equivariant = Verdict::holds;
    scale();
    return std::move(row_);
  }

 private:
  Verdict verdict(Law law, const AnyGroup& group) {
    law.stops_at_first_failure = true;
    row_.reports.push_back(check_law(law, group, rule_, options_));
    return row_.reports.back().verdict;
  }

  SideSymmetry side(Side side) {
    SideSymmetry symmetry;
    symmetry.head_size = head_size_;
    const auto check = [&](GeneratorKind kind) {
      const OneSidedGroup group(side, kind, head_size_);
      symmetry.set(kind, verdict(equivariance_law(group), group));
    };
    using enum GeneratorKind;
    check(positive_scalings);
    check(rotations);
    if (symmetry.has(rotations)) {
      for (const GeneratorKind part :
           {negation, permutations, signs, block_rotations, block_permutations, stabilizer_of_ones})
        symmetry.set(part, Verdict::holds);
      return symmetry;
    }
    for (const GeneratorKind kind : {negation, permutations, signs, stabilizer_of_ones}) check(kind);
    if (head_size_ > 0)
      for (const GeneratorKind kind : {block_rotations, block_permutations}) check(kind);
    return symmetry;
  }

  void scale() {
    const auto degree = shown_degree();
    if (!degree) return;
    const ErasedGroup<Trivial> group;
    if (verdict(homogeneity_law(*degree), group) != Verdict::holds) return;
    row_.degree = degree;
    row_.is_exact = verdict(exact_homogeneity_law(*degree), group) == Verdict::holds;
  }

  /// The degree as one block shows it, which the law must then confirm on all.
  std::optional<double> shown_degree() const {
    constexpr int doublings = 10;
    const Precision precision = rule_.precision();
    std::mt19937_64 engine = engine_for(options_.seed, "degree");
    const WideMatrix weights = rounded_to(precision, gaussian<Wide>(options_.shapes.back(), engine));
    const WideMatrix gradient = rounded_to(precision, gaussian<Wide>(options_.shapes.back(), engine));
    const auto size = [&](int scale) {
      return norm(direction_of(rule_, precision, weights, times(scale)(gradient)));
    };
    const double degree = static_cast<double>(std::log2(size(1 << doublings) / size(1))) / doublings;
    if (!symopt::detail::is_finite(degree)) return std::nullopt;
    const double nearest = std::round(1000 * degree) / 1000 + 0.0;  // no -0
    return std::abs(degree - nearest) <= 16 * roundoff(precision) ? nearest : degree;
  }

  const AnyRule& rule_;
  CheckOptions options_;
  int head_size_;
  Classification row_;
};

SYMOPT_CHECK_INLINE Classification classify(const AnyRule& rule, CheckOptions options, int head_size) {
  return Classifier(rule, std::move(options), head_size).run();
}

}  // namespace detail
#endif

}}}  // namespace symopt::check
