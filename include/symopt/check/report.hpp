// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/check/linkage.hpp>
#include <symopt/matrix.hpp>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <optional>
#include <ostream>
#include <sstream>
#include <string>
#include <vector>

namespace symopt { inline namespace SYMOPT_ABI { namespace check {

/// The finding of a check.
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
  std::string element;        ///< "left rotation (0,1) by pi/2"
  Matrix<double> input;       ///< the gradient
  double error = 0;           ///< the size of the violation over the size of the output
  Matrix<double> weights{};   ///< of a rule that sees them; otherwise empty, like those that a check lacks
  std::string of_moved{};     ///< the name of `actual`: "the step after the move"
  Matrix<double> actual{};    ///< as the rule gave it
  std::string should_be{};    ///< the name of `expected`: "the step, moved"
  Matrix<double> expected{};  ///< as the law asks for it
};

/// `left rotation (0,1) by pi/2, 2x2, G = [[1,0],[0,2]]: off by 0.41`
std::ostream& operator<<(std::ostream& out, const Counterexample& example);

/// The trials on one kind of input.
struct Tried {
  std::string input;  ///< its name in input_kinds()
  int trials = 0;     ///< all of them
  int ill_posed = 0;  ///< those whose result rounding decides
};

/// The result of a check. Errors are in units of what rounding allows: a trial passes at 1 or less.
struct Report {
  std::string law;                     ///< "equivariance"
  std::string rule;                    ///< the rule that was checked
  std::string group;                   ///< the group under which
  Verdict verdict = Verdict::vacuous;  ///< the finding
  std::string reason{};                ///< of a verdict that is not `holds`
  double worst = 0;                    ///< the largest error of a well-posed trial
  std::vector<double> errors{};        ///< of all well-posed trials, ascending
  int trials = 0;                      ///< inputs and elements tried
  int ill_posed = 0;                   ///< trials whose result rounding decides
  double ladder_ratio = 0;  ///< largest error in float over that in double on Gaussian inputs; 0 without
  std::string precision;    ///< the highest one tried: "double", "float"
  std::optional<Counterexample> counterexample{};  ///< the smallest that was found
  bool is_defect = false;  ///< the failure shown is an output that cannot be compared: not finite, of another
                           ///< shape, or another one at each call
  std::string reproduce{};      ///< one line that repeats the failed trial, or the whole check
  std::uint64_t seed = 0;       ///< of all random numbers
  std::vector<Tried> inputs{};  ///< how often each kind of input was tried, in the order of the trials
  std::vector<Shape> shapes{};  ///< of the blocks, in the order of the trials
  double smallest_input = 0;    ///< the least norm of a gradient that is not zero
  double largest_input = 0;     ///< the largest norm of a gradient

  /// The error that a share q of the well-posed trials do not exceed; 0 without any.
  double quantile(double q) const {
    if (errors.empty()) return 0;
    const double place = std::clamp(q, 0.0, 1.0) * static_cast<double>(errors.size() - 1);
    return errors[static_cast<std::size_t>(std::ceil(place))];
  }

  /// Tests whether the law holds.
  explicit operator bool() const { return verdict == Verdict::holds; }
};

/// Everything that a failure needs, in lines of at most 80 columns but the last one, which is to be copied.
std::ostream& operator<<(std::ostream& out, const Report& report);

/// The report as it prints itself.
std::string to_string(const Report& report);

namespace detail {

/// The message of an assertion that asked for another verdict.
std::string failure_text(const Report& report, Verdict expected);

}  // namespace detail

#ifdef SYMOPT_CHECK_DEFINITIONS
namespace detail {

/// `[[1,0],[0,2]]`
SYMOPT_CHECK_INLINE std::string matrix_text(const Matrix<double>& block, int digits) {
  std::ostringstream out;
  out.precision(digits);
  out << '[';
  for (Index i = 0; i < block.rows(); ++i) {
    out << (i == 0 ? "[" : ",[");
    for (Index j = 0; j < block.cols(); ++j) out << (j == 0 ? "" : ",") << block(i, j) + 0.0;  // no -0
    out << ']';
  }
  out << ']';
  return out.str();
}

/// The text in lines of at most 80 columns, broken after a comma or a blank that is not beside an equals
/// sign; lines after the first begin with the indent.
SYMOPT_CHECK_INLINE std::string wrapped(const std::string& text, const std::string& indent) {
  constexpr std::size_t width = 80;
  std::string result, line;
  std::size_t begin = 0;
  const auto is_break = [&text](std::size_t i) {
    const bool is_beside_equals =
        (i > 0 && text[i - 1] == '=') || (i + 1 < text.size() && text[i + 1] == '=');
    return text[i] == ',' || (text[i] == ' ' && !is_beside_equals);
  };
  while (begin < text.size()) {
    std::size_t end = begin + 1;
    while (end < text.size() && !is_break(end - 1)) ++end;
    std::size_t length = end - begin;
    if (text[end - 1] == ' ') --length;  // may hang over the edge
    if (line.size() > indent.size() && line.size() + length > width) {
      result += line.substr(0, line.find_last_not_of(' ') + 1) + '\n';
      line = indent;
    }
    line += text.substr(begin, end - begin);
    begin = end;
  }
  return result + line;
}

/// `9 shapes from 1x1 to 17x19, gradients of norm 1e-30 to 1e+31: integers 24 %, gaussian 18 %, 26 other
/// kinds; ill-posed: rank-1 12 %`, the kinds that were tried most and those that said least.
SYMOPT_CHECK_INLINE std::string inputs_text(const Report& report) {
  Shape least = report.shapes.front(), most = least;
  for (const Shape shape : report.shapes) {
    if (shape.rows * shape.cols < least.rows * least.cols) least = shape;
    if (shape.rows * shape.cols > most.rows * most.cols) most = shape;
  }
  std::ostringstream text;
  text.precision(1);
  text << report.shapes.size() << (report.shapes.size() == 1 ? " shape, " : " shapes from ")
       << symopt::to_string(least);
  if (report.shapes.size() > 1) text << " to " << symopt::to_string(most);
  text << ", gradients of norm " << report.smallest_input << " to " << report.largest_input << ':';
  constexpr std::size_t shown = 4;
  // The largest shares in descending order, each the largest below the last.
  const auto list = [&](const char* heading, const std::vector<double>& percent) {
    std::vector<bool> is_listed(percent.size());
    for (std::size_t k = 0; k < shown && k < percent.size(); ++k) {
      std::size_t next = percent.size();
      for (std::size_t i = 0; i < percent.size(); ++i)
        if (!is_listed[i] && (next == percent.size() || percent[i] > percent[next])) next = i;
      if (!(percent[next] > 0)) return;
      is_listed[next] = true;
      text << (k == 0 ? heading : ",") << ' ' << report.inputs[next].input << ' '
           << std::lround(percent[next]) << " %";
    }
  };
  std::vector<double> tried, ill_posed;
  for (const Tried& kind : report.inputs) {
    tried.push_back(100.0 * kind.trials / report.trials);
    ill_posed.push_back(100.0 * kind.ill_posed / kind.trials);
  }
  list("", tried);
  if (report.inputs.size() > shown) text << ", and " << report.inputs.size() - shown << " other kinds";
  list("; ill-posed of", ill_posed);
  return text.str();
}

SYMOPT_CHECK_INLINE std::string failure_text(const Report& report, Verdict expected) {
  const std::string text = to_string(report);
  return expected == Verdict::holds ? text : std::string(to_string(expected)) + " was expected, but\n" + text;
}

}  // namespace detail

SYMOPT_CHECK_INLINE std::string to_string(const Report& report) {
  std::ostringstream text;
  text << report;
  return text.str();
}

SYMOPT_CHECK_INLINE std::ostream& operator<<(std::ostream& out, const Counterexample& example) {
  out << example.element << ", " << symopt::to_string(symopt::detail::shape_of(example.input))
      << ", G = " << detail::matrix_text(example.input, 6);
  if (example.weights.size() > 0) out << ", W = " << detail::matrix_text(example.weights, 6);
  const std::streamsize precision = out.precision(2);
  out << ": off by " << example.error;
  out.precision(precision);
  return out;
}

SYMOPT_CHECK_INLINE std::ostream& operator<<(std::ostream& out, const Report& report) {
  const auto line = [&out](const std::string& text) { out << detail::wrapped("  " + text, "    ") << '\n'; };
  std::string claim = report.law + " of " + report.rule;
  if (!report.group.empty()) claim += " under " + report.group;
  out << detail::wrapped(claim + ": " + to_string(report.verdict), "  ") << '\n';
  if (!report.reason.empty()) line("because " + report.reason);
  if (report.counterexample) {
    const Counterexample& example = *report.counterexample;
    std::ostringstream text;
    text << example;
    line("counterexample: " + text.str());
    constexpr Index most_entries = 36;
    if (!example.of_moved.empty() && example.input.size() <= most_entries) {
      const std::size_t width = std::max(example.of_moved.size(), example.should_be.size()) + 1;
      const auto side = [&](std::string name, const Matrix<double>& block) {
        name.resize(width, ' ');
        line("  " + name + (block.size() == 0 ? "not finite" : detail::matrix_text(block, 4)));
      };
      side(example.of_moved, example.actual);
      if (!example.should_be.empty()) side(example.should_be, example.expected);
    }
  }
  std::ostringstream numbers;
  numbers.precision(3);
  numbers << report.trials << " trials in " << report.precision
          << (report.precision == "float" ? ", for the rule has no double" : "") << ", " << report.ill_posed
          << " ill-posed; worst error " << report.worst << " of what rounding allows";
  line(numbers.str());
  if (!report.inputs.empty()) line(detail::inputs_text(report));
  if (report.ladder_ratio > 0) {
    std::ostringstream ladder;
    ladder.precision(3);
    ladder << "float errs " << report.ladder_ratio << " times as much as double";
    if (report.verdict == Verdict::violated && report.ladder_ratio < 1e3)
      ladder << ": not a matter of rounding";
    line(ladder.str());
  }
  if (!report.reproduce.empty()) out << "  again: " << report.reproduce << '\n';
  return out;
}
#endif

}}}  // namespace symopt::check
