// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/check/laws/pair.hpp>
#include <symopt/group/permutation.hpp>
#include <symopt/group/signed_permutation.hpp>

#include <ostream>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace symopt { inline namespace SYMOPT_ABI { namespace check {

namespace detail {

/// The algebra of the identity alone, as far as elements go: a gauge that moves nothing.
struct One : algebra::Scalars {
  template <class Scalar, RandomEngine Engine>
  static algebra::Invertible<Scalar> random(Index size, double, Engine&) {
    return {Matrix<Scalar>::Identity(size, size), Matrix<Scalar>::Identity(size, size)};
  }
  template <class Scalar>
  static std::vector<algebra::Invertible<Scalar>> generators(Index) {
    return {};
  }
};

}  // namespace detail

/// The symmetries of a rule of pairs, as far as the shipped algebras and groups of the rows can tell.
struct PairClassification {
  std::string rule;  ///< the rule that was classified
  /// A group that was tried, and what came of it.
  struct Entry {
    std::string group;                   ///< "algebra::Full", "LeftOrthogonal"
    Verdict verdict = Verdict::vacuous;  ///< of equivariance under it
  };
  std::vector<Entry> gauges;    ///< the algebras, from the largest
  std::vector<Entry> rows;      ///< groups of the rows of both blocks, from the largest
  std::vector<Report> reports;  ///< of everything that was tried

  /// The largest algebra under which the rule is equivariant, and the largest group of the rows, as C++
  /// spells the group of pairs: "Gauge<algebra::Full, LeftOrthogonal, LeftOrthogonal>". Empty where it has no
  /// gauge.
  std::string largest_group() const {
    const auto first = [](const std::vector<Entry>& entries) -> std::string {
      for (const Entry& entry : entries)
        if (entry.verdict == Verdict::holds) return entry.group;
      return "";
    };
    const std::string gauge = first(gauges), outer = first(rows);
    if (gauge.empty()) return "";
    return outer.empty() ? "Gauge<" + gauge + ">" : "Gauge<" + gauge + ", " + outer + ", " + outer + ">";
  }
};

/// The row of the rule: "no gauge" or its largest group, and the verdict on each that was tried.
inline std::ostream& operator<<(std::ostream& out, const PairClassification& row) {
  out << row.rule << ": " << (row.largest_group().empty() ? "no gauge" : row.largest_group());
  for (const auto* entries : {&row.gauges, &row.rows}) {
    out << "\n ";
    for (const auto& entry : *entries)
      out << ' ' << entry.group << ' '
          << (entry.verdict == Verdict::holds      ? "yes"
              : entry.verdict == Verdict::violated ? "no"
                                                   : to_string(entry.verdict))
          << (&entry == &entries->back() ? "" : ",");
  }
  return out << '\n';
}

/// The gauges and the groups of the rows under which a rule of pairs is equivariant, each by a check of its
/// own: algebra::Full, Planes of neighbours and of halves, Diagonal, Scalars; rotations, signed permutations
/// and permutations of the rows. Rule: that of check_equivariance of pairs. Cost: that of eight checks.
template <class Rule>
PairClassification classify_pair(const Rule& rule, CheckOptions options = {}) {
  using namespace symopt::algebra;
  PairClassification row;
  row.rule = options.name.empty() ? detail::any_pair_rule(rule).name : options.name;
  if (options.shapes.empty()) options.shapes = {{8, 4}, {11, 4}};
  const auto verdict_under = [&]<class Group>(std::type_identity<Group>) {
    row.reports.push_back(check_equivariance<Group>(rule, options));
    return row.reports.back().verdict;
  };
  const auto gauge = [&]<class A>(const char* name, std::type_identity<A>) {
    row.gauges.push_back({name, verdict_under(std::type_identity<Gauge<A>>{})});
  };
  gauge("algebra::Full", std::type_identity<Full>{});
  gauge("algebra::Planes<>", std::type_identity<Planes<>>{});
  gauge("algebra::Planes<algebra::Pairing::halves>", std::type_identity<Planes<Pairing::halves>>{});
  gauge("algebra::Diagonal", std::type_identity<Diagonal>{});
  gauge("algebra::Scalars", std::type_identity<Scalars>{});
  const auto rows = [&]<class Outer>(const char* name, std::type_identity<Outer>) {
    row.rows.push_back({name, verdict_under(std::type_identity<Gauge<detail::One, Outer, Outer>>{})});
  };
  rows("LeftOrthogonal", std::type_identity<LeftOrthogonal>{});
  rows("SignedRowPermutation", std::type_identity<SignedRowPermutation>{});
  rows("RowPermutation", std::type_identity<RowPermutation>{});
  return row;
}

}}}  // namespace symopt::check
