// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/matrix.hpp>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

namespace symopt::inline SYMOPT_ABI::check {

/// What a check found.
///   holds          every well-posed trial passed, and at least half of all trials were well-posed
///   violated       a well-posed trial failed in the rule's highest precision; the report has it
///   inconclusive   nothing failed, but too much was ill-posed to say more; the report says why
///   vacuous        the law cannot fail here: the rule's output never changes, or no element moves anything
enum class Verdict { holds, violated, inconclusive, vacuous };

constexpr const char* to_string(Verdict verdict) {
  switch (verdict) {
    case Verdict::holds:
      return "holds";
    case Verdict::violated:
      return "violated";
    case Verdict::inconclusive:
      return "inconclusive";
    case Verdict::vacuous:
      break;
  }
  return "vacuous";
}

/// A trial that failed, made as small as it still fails.
struct Counterexample {
  std::string element;   ///< "left rotation (0,1) by pi/2"
  Matrix<double> input;  ///< the gradient
  double error = 0;      ///< the size of the violation over the size of the output
};

/// `left rotation (0,1) by pi/2, 2x2, G = [[1,0],[0,2]]: off by 0.41`
inline std::ostream& operator<<(std::ostream& out, const Counterexample& example) {
  const std::streamsize precision = out.precision(6);
  out << example.element << ", " << symopt::to_string(shape_of(example.input)) << ", G = [";
  for (Index i = 0; i < example.input.rows(); ++i) {
    out << (i == 0 ? "[" : ",[");
    for (Index j = 0; j < example.input.cols(); ++j) out << (j == 0 ? "" : ",") << example.input(i, j);
    out << ']';
  }
  out.precision(2);
  out << "]: off by " << example.error;
  out.precision(precision);
  return out;
}

/// The result of a check. Errors are in units of what rounding allows: a trial passes at 1 or less.
struct Report {
  std::string law;    ///< "equivariance"
  std::string rule;   ///< what was checked
  std::string group;  ///< under what
  Verdict verdict = Verdict::vacuous;  ///< the answer
  std::string reason;          ///< of a verdict that is not `holds`
  double worst = 0;            ///< the largest error of a well-posed trial
  std::vector<double> errors;  ///< of all well-posed trials, ascending
  int trials = 0;              ///< inputs and elements tried
  int ill_posed = 0;         ///< trials whose result rounding decides
  double ladder_ratio = 0;   ///< largest error in float over that in double on Gaussian inputs; 0 without
  std::string precision;     ///< the highest one tried: "double", "float"
  std::optional<Counterexample> counterexample{};  ///< the smallest that was found
  std::string reproduce;  ///< one line that repeats the failed trial, or the whole check
  std::uint64_t seed = 0;  ///< of all random numbers

  /// The error that a share q of the well-posed trials do not exceed; 0 without any.
  double quantile(double q) const {
    if (errors.empty()) return 0;
    const double place = std::clamp(q, 0.0, 1.0) * static_cast<double>(errors.size() - 1);
    return errors[static_cast<std::size_t>(std::ceil(place))];
  }

  /// True when the law holds.
  explicit operator bool() const { return verdict == Verdict::holds; }
};

/// Everything that a failure needs, in a few lines of at most 80 columns where the input is small.
inline std::ostream& operator<<(std::ostream& out, const Report& report) {
  out << report.law << " of " << report.rule;
  if (!report.group.empty()) out << "\n  under " << report.group;
  out << ": " << to_string(report.verdict) << '\n';
  if (!report.reason.empty()) out << "  because " << report.reason << '\n';
  if (report.counterexample) out << "  counterexample: " << *report.counterexample << '\n';
  out << "  " << report.trials << " trials in " << report.precision << ", " << report.ill_posed
      << " ill-posed; worst error " << report.worst << " of what rounding allows";
  if (report.ladder_ratio > 0) {
    out << "\n  float errs " << report.ladder_ratio << " times as much as double";
    if (report.verdict == Verdict::violated)
      out << (report.ladder_ratio < 1e3 ? ": not a matter of rounding" : "");
  }
  if (!report.reproduce.empty()) out << "\n  again: " << report.reproduce;
  return out << '\n';
}

}  // namespace symopt::check
