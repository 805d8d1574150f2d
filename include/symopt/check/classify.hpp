// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/check/equivariance.hpp>
#include <symopt/check/homogeneity.hpp>
#include <symopt/check/one_sided_group.hpp>
#include <symopt/check/shift.hpp>
#include <symopt/group/shift.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <optional>
#include <ostream>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace symopt { inline namespace SYMOPT_ABI { namespace check {

/// Under which motions of the lines of one side a rule is equivariant.
class SideSymmetry {
 public:
  /// What was found for one kind of motion: read, written, and whether it holds.
  ///@{
  Verdict operator[](LineMotions motions) const { return verdicts_[static_cast<std::size_t>(motions)]; }
  void set(LineMotions motions, Verdict verdict) { verdicts_[static_cast<std::size_t>(motions)] = verdict; }
  bool has(LineMotions motions) const { return (*this)[motions] == Verdict::holds; }
  ///@}

  int head_size = 0;  ///< of the heads that were tried; 0: none were

  /// The largest of these groups that the rule has:
  ///   1 none, +-1 the sign of the block, S swaps, +-S with that sign, signs (without swaps), B signed
  ///   permutations, R_h rotations within heads of h lines with exchanges of heads, St the orthogonal
  ///   matrices that keep the vector of ones up to its sign, O all orthogonal ones; Mon, GL and "with
  ///   scalings": B, O and the others together with positive scalings. A question mark: something larger was
  ///   inconclusive.
  std::string letter() const {
    const bool scales = has(LineMotions::positive_scalings);
    std::string text = orthogonal_letter();
    if (scales)
      text = text == "O" ? "GL" : text == "B" ? "Mon" : text == "1" ? "scalings" : text + " with scalings";
    for (const Verdict verdict : verdicts_)
      if (verdict == Verdict::inconclusive) return text + "?";
    return text;
  }

 private:
  std::string orthogonal_letter() const {
    using enum LineMotions;
    if (has(rotations)) return "O";
    if (has(swaps) && has(signs)) return "B";
    if (has(block_rotations) && has(block_swaps)) return "R_" + std::to_string(head_size);
    if (has(ones_rotations)) return "St";
    if (has(swaps)) return has(negation) ? "+-S" : "S";
    if (has(signs)) return "signs";
    return has(negation) ? "+-1" : "1";
  }

  std::array<Verdict, 8> verdicts_{Verdict::vacuous, Verdict::vacuous, Verdict::vacuous, Verdict::vacuous,
                                   Verdict::vacuous, Verdict::vacuous, Verdict::vacuous, Verdict::vacuous};
};

/// What a rule respects, as far as the motions of LineMotions, a shift of the rows and scalings can tell.
struct Classification {
  std::string rule;                            ///< what was classified
  SideSymmetry left;                           ///< under motions of the rows
  SideSymmetry right;                          ///< under motions of the columns
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
};

/// The row of the rule in the table of docs/derivation.md, and for each side what shows that its group is no
/// larger.
inline std::ostream& operator<<(std::ostream& out, const Classification& row) {
  const auto yes_or_no = [](Verdict verdict) {
    return verdict == Verdict::holds ? "yes" : verdict == Verdict::violated ? "no" : to_string(verdict);
  };
  out << row.rule << ": " << row.group() << "\n  shift of the rows: E " << yes_or_no(row.equivariant)
      << ", H " << yes_or_no(row.horizontal) << ", I " << yes_or_no(row.shift_invariant) << "\n  ";
  if (row.degree) {
    out << "homogeneous of degree " << detail::degree_text(*row.degree)
        << (row.is_exact ? ", to the bit under powers of two" : ", though not to the bit");
  } else {
    out << "not homogeneous";
  }
  for (const Side side : {Side::left, Side::right})
    for (const LineMotions motions : {LineMotions::swaps, LineMotions::signs, LineMotions::rotations}) {
      const std::string group = OneSidedGroup(side, motions).name();
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
    row_.rule = rule_.name;
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
    row_.reports.push_back(LawCheck(std::move(law), group, rule_, options_).run());
    return row_.reports.back().verdict;
  }

  SideSymmetry side(Side side) {
    SideSymmetry symmetry;
    symmetry.head_size = head_size_;
    const auto check = [&](LineMotions motions) {
      const OneSidedGroup group(side, motions, head_size_);
      symmetry.set(motions, verdict(equivariance_law(group), group));
    };
    using enum LineMotions;
    check(positive_scalings);
    check(rotations);
    if (symmetry.has(rotations)) {
      for (const LineMotions part : {negation, swaps, signs, block_rotations, block_swaps, ones_rotations})
        symmetry.set(part, Verdict::holds);
      return symmetry;
    }
    for (const LineMotions motions : {negation, swaps, signs, ones_rotations}) check(motions);
    if (head_size_ > 0)
      for (const LineMotions motions : {block_rotations, block_swaps}) check(motions);
    return symmetry;
  }

  /// The degree as one block shows it, which the law must then confirm on all.
  void scale() {
    const auto degree = rule_.is_float_only() ? shown_degree(rule_.in_float) : shown_degree(rule_.in_double);
    if (!degree) return;
    const ErasedGroup<Trivial> group;
    if (verdict(homogeneity_law(*degree), group) != Verdict::holds) return;
    row_.degree = degree;
    row_.is_exact = verdict(exact_homogeneity_law(*degree), group) == Verdict::holds;
  }

  template <class Scalar>
  std::optional<double> shown_degree(const Direction<Scalar>& rule) const {
    constexpr int doublings = 10;
    std::mt19937_64 engine = engine_for(options_.seed, "degree");
    const Matrix<Scalar> weights = gaussian<Scalar>(options_.shapes.back(), engine);
    const Matrix<Scalar> gradient = gaussian<Scalar>(options_.shapes.back(), engine);
    const auto size = [&](Scalar scale) {
      return static_cast<double>(rule(weights, (scale * gradient).eval()).stableNorm());
    };
    const double degree = std::log2(size(Scalar(1 << doublings)) / size(Scalar(1))) / doublings;
    if (!std::isfinite(degree)) return std::nullopt;
    const double near = std::round(1000 * degree) / 1000 + 0.0;  // no -0
    const double noise = 16 * static_cast<double>(std::numeric_limits<Scalar>::epsilon());
    return std::abs(degree - near) <= noise ? near : degree;
  }

  const AnyRule& rule_;
  CheckOptions options_;
  int head_size_;
  Classification row_;
};

}  // namespace detail

/// The row of an unknown rule in the table of docs/derivation.md: its largest group on either side among the
/// motions of LineMotions, E, H and I under a shift of the rows, and its degree of homogeneity. With
/// head_size, also the rotations within heads of so many lines; the shapes are then whole heads. Rule: that
/// of check_equivariance; E tells something of rules that see weights. Every entry is the verdict of a check
/// and holds as far as that: of the groups that are not tried, nothing is said. The reports stop at the first
/// failure. Cost: that of a dozen checks, on small shapes.
template <class Rule>
Classification classify(const Rule& rule, CheckOptions options = {}, int head_size = 0) {
  const AnyRule any = any_rule(rule);
  return detail::Classifier(any, std::move(options), head_size).run();
}

}}}  // namespace symopt::check
