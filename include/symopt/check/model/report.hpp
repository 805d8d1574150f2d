// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/check/report.hpp>
#include <symopt/stack/numbered_names.hpp>

#include <cstdint>
#include <ostream>
#include <sstream>
#include <string>
#include <vector>

namespace symopt { inline namespace SYMOPT_ABI { namespace check {

/// A parameter of which a law does not hold.
struct ParameterGap {
  std::string name;     ///< of the parameter
  double relative = 0;  ///< the difference over the size of the gradient, or over the way of the weights
  double error = 0;     ///< the difference over what rounding allows
};

/// Twin trainings by one optimizer, from W and from gW: the losses should be the same for ever, and the
/// weights those that the element makes of the first training's.
struct TwinReport {
  std::string optimizer;               ///< its name
  Verdict verdict = Verdict::vacuous;  ///< the finding
  std::string reason{};                ///< of a verdict that is not `holds`
  double trajectory_gap = 0;           ///< the largest difference of the losses
  std::vector<double> losses{};        ///< of the first training before every step, and after the last
  std::vector<double> gaps{};          ///< the differences of the twin's from these
  /// The largest differences so far that a start shows which is one rounding away, and moves by no element.
  std::vector<double> rounding{};
  int losses_part = 0;    ///< the step after which the losses are seen to differ; 0 where they never are
  int weights_leave = 0;  ///< the step after which weights are seen to; looked at after 1, 2, 4, 16, ...
  std::vector<ParameterGap> left_first{};  ///< whose weights these are, those that are furthest off first
};

/// The findings about one symmetry of a model.
struct SymmetryReport {
  std::string name;                       ///< as the symmetry was named
  std::string group;                      ///< "Orthogonal<left>, 16 coordinates of 5 parameters"
  Verdict verdict = Verdict::vacuous;     ///< of the model and of all optimizers
  std::string reason{};                   ///< of a verdict that is not `holds`
  double loss_changes = 0;                ///< the largest change of the loss by an element, over the loss
  double gradient_error = 0;              ///< the largest over parameters, relative to each one's gradient
  double trajectory_gap = 0;              ///< the largest over optimizers
  std::vector<ParameterGap> gradients{};  ///< parameters whose gradients disagree, the largest first
  std::string mend{};                     ///< the one change to the list of followers that helps, if any
  std::vector<TwinReport> trainings{};    ///< one for each optimizer; none of what is no symmetry
};

/// The result of check_model.
struct ModelReport {
  Verdict verdict = Verdict::vacuous;        ///< the worst of all symmetries'
  std::string reason{};                      ///< of a verdict that is not `holds`
  std::string precision{};                   ///< of the model: "double", "float"
  std::size_t parameters = 0;                ///< that were given
  Index numbers = 0;                         ///< in these
  int steps = 0;                             ///< of each training
  std::uint64_t seed = 0;                    ///< of all random numbers
  std::vector<SymmetryReport> symmetries{};  ///< in the order in which they were given

  /// Tests whether everything holds.
  explicit operator bool() const { return verdict == Verdict::holds; }
};

/// All findings, in lines of at most 80 columns.
std::ostream& operator<<(std::ostream& out, const ModelReport& report);
/// The report as it prints itself.
std::string to_string(const ModelReport& report);

namespace detail {

/// The graver of two verdicts: violated, inconclusive, vacuous, holds.
constexpr Verdict graver(Verdict a, Verdict b) {
  const auto rank = [](Verdict verdict) {
    return verdict == Verdict::violated       ? 3
           : verdict == Verdict::inconclusive ? 2
                                              : verdict == Verdict::vacuous;
  };
  return rank(a) >= rank(b) ? a : b;
}

/// "parameters 'a', 'b'", the names alone.
std::string names_text(const std::vector<ParameterGap>& gaps);
/// A number of two digits.
std::string short_number(double number);
/// The message of an assertion that asked for another verdict.
std::string failure_text(const ModelReport& report, Verdict expected);

}  // namespace detail

#ifdef SYMOPT_CHECK_DEFINITIONS
namespace detail {

SYMOPT_CHECK_INLINE std::string names_text(const std::vector<ParameterGap>& gaps) {
  std::vector<std::string> names;
  names.reserve(gaps.size());
  for (const ParameterGap& gap : gaps) names.push_back(gap.name);
  return symopt::detail::listed(names);
}

SYMOPT_CHECK_INLINE std::string short_number(double number) {
  std::ostringstream text;
  text.precision(2);
  text << number;
  return text.str();
}

SYMOPT_CHECK_INLINE std::string failure_text(const ModelReport& report, Verdict expected) {
  const std::string text = to_string(report);
  return expected == Verdict::holds ? text : std::string(to_string(expected)) + " was expected, but\n" + text;
}

SYMOPT_CHECK_INLINE void print(std::ostream& out, const TwinReport& twins) {
  std::string text = twins.optimizer + ": " + to_string(twins.verdict);
  if (!twins.gaps.empty()) {
    text += ", losses differ by " + short_number(twins.trajectory_gap) + " at most in " +
            std::to_string(twins.gaps.size() - 1) + " steps";
    if (!twins.rounding.empty()) text += ", by rounding alone " + short_number(twins.rounding.back());
  }
  out << wrapped("    " + text, "      ") << '\n';
  if (!twins.reason.empty()) out << wrapped("      because " + twins.reason, "        ") << '\n';
}

}  // namespace detail

SYMOPT_CHECK_INLINE std::string to_string(const ModelReport& report) {
  std::ostringstream text;
  text << report;
  return text.str();
}

SYMOPT_CHECK_INLINE std::ostream& operator<<(std::ostream& out, const ModelReport& report) {
  const auto line = [&out](const std::string& text, const std::string& indent) {
    out << detail::wrapped(text, indent) << '\n';
  };
  line("model of " + std::to_string(report.parameters) + " parameters, " + std::to_string(report.numbers) +
           " numbers in " + report.precision + ": " + to_string(report.verdict),
       "  ");
  if (!report.reason.empty()) line("  because " + report.reason, "    ");
  for (const SymmetryReport& symmetry : report.symmetries) {
    line("  " + symmetry.name + ", " + symmetry.group + ": " + to_string(symmetry.verdict), "    ");
    if (!symmetry.reason.empty() && symmetry.trainings.empty())
      line("    because " + symmetry.reason, "      ");
    if (!symmetry.mend.empty()) line("    " + symmetry.mend, "      ");
    line("    the loss changes by " + detail::short_number(symmetry.loss_changes) +
             " of itself, gradients are off by " + detail::short_number(symmetry.gradient_error) + " at most",
         "      ");
    for (const TwinReport& twins : symmetry.trainings) detail::print(out, twins);
  }
  out << "  again: SYMOPT_SEED=" << report.seed << '\n';
  return out;
}
#endif

}}}  // namespace symopt::check
