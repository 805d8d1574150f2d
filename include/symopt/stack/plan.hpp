// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/matrix.hpp>
#include <symopt/optimizer/options.hpp>
#include <symopt/stack/numbered_names.hpp>

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <optional>
#include <ostream>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

namespace symopt { inline namespace SYMOPT_ABI {

namespace detail {

/// "16 of 128x1024": blocks of one shape are counted, wherever they are. A template, so that only who makes a
/// plan compiles it.
std::string blocks_text(const std::same_as<std::vector<Shape>> auto& shapes) {
  std::vector<std::pair<Shape, std::size_t>> counts;
  for (const Shape shape : shapes) {
    const auto found = std::ranges::find(counts, shape, [](const auto& count) { return count.first; });
    if (found != counts.end()) {
      ++found->second;
    } else {
      counts.emplace_back(shape, 1);
    }
  }
  std::string text;
  for (const auto& [shape, count] : counts)
    text += (text.empty() ? "" : ", ") + std::to_string(count) + " of " + to_string(shape);
  return text.empty() ? "none" : text;
}

/// "beta1 0.9, eps 1e-08" of "AdamW.beta1=0.9, AdamW.eps=1e-08".
inline std::string bare_options(const std::string& options) {
  std::string text;
  for (std::size_t begin = 0; begin < options.size();) {
    const std::size_t end = std::min(options.find(", ", begin), options.size());
    const std::size_t equals = options.find('=', begin);
    const std::size_t name = options.rfind('.', equals) + 1;
    text += (text.empty() ? "" : ", ") + options.substr(name, equals - name) + " " +
            options.substr(equals + 1, end - equals - 1);
    begin = end + 2;
  }
  return text;
}

}  // namespace detail

/// The plan of one parameter.
struct PlanRow {
  std::string name;    ///< of the parameter
  std::string shape;   ///< of the tensor as it is stored: "151936x1024"
  std::string layout;  ///< "16 row heads", and the row mask
  std::string blocks;  ///< the blocks that the rule sees: "16 of 128x1024"
  std::string group;   ///< "LmHead: S x O + shift"
  std::string rule;    ///< "P > RowNorm > P"
  std::string method;  ///< "minimax, 3 terms": the polar method of the first of the blocks, if any
  std::string scale;   ///< the named scale, and its factor for the first of these blocks
  double rate = 0;     ///< the base rate, before the schedule factor
  /// The ratio of the parameter class's rate to the stack's, for a parameter without options of its own.
  std::optional<double> ratio{};
  /// The nominal root mean square of the change of an entry in a step, where the rule states it, before the
  /// schedule factor; of the first of the blocks.
  std::optional<double> entry{};
  std::string momentum{};    ///< "momentum 0.95 ema, Nesterov", or the options of a rule that keeps its own
  double weight_decay = 0;   ///< times the rate
  Decay decay = Decay::all;  ///< what the decay shrinks

  /// "0.003 = 3 x 0.001", and the size of a step.
  std::string rate_text() const {
    std::ostringstream text;
    text << "rate " << rate;
    if (ratio && *ratio != 1 && *ratio != 0) text << " = " << *ratio << " x " << rate / *ratio;
    if (entry) text << ", entries move by " << *entry;
    return text.str();
  }
  /// "decay 0.1", "horizontal decay 0.1" or "no decay".
  std::string decay_text() const {
    std::ostringstream text;
    if (weight_decay == 0) return "no decay";
    text << (decay == Decay::horizontal ? "horizontal decay " : "decay ") << weight_decay;
    return text.str();
  }
};

/// The plan of a stack: blocks, rule, scale and rate of each parameter, in the order in which they were
/// added. Printing it gathers parameters whose names differ only in numbers and which are treated alike, and
/// says how many they are:
///   model.layers.[0-27].self_attn.q_proj.weight  28 of [2048x1024]
///       16 row heads -> 16 of 128x1024
///       HiddenMatrix: O x O | Spectral | scale match_rms 6.4
///       rate 0.001, entries move by 0.0002 | momentum 0.95 ema | decay 0.1
///       polar factor: minimax, 3 terms
/// The line of the layout is left out for a tensor that is one block.
class Plan {
 public:
  /// Rows in the order of printing; stack.plan() makes them.
  explicit Plan(std::vector<PlanRow> rows) : rows_(std::move(rows)) {}

  /// One row for each parameter.
  const std::vector<PlanRow>& rows() const& { return rows_; }
  /// The rows of a plan that ends with the expression, so that `for (auto& row : stack.plan().rows())` may be
  /// written.
  std::vector<PlanRow> rows() && { return std::move(rows_); }

  /// Under 80 columns for names up to 50. A template, so that only who prints compiles it.
  template <std::derived_from<std::ostream> Out>
  friend Out& operator<<(Out& out, const Plan& plan) {
    struct Line {
      detail::NumberedNames names;
      const PlanRow* row;  // the first of them
    };
    std::vector<Line> lines;
    for (const PlanRow& row : plan.rows_) {
      const detail::NumberedNames name(row.name);
      bool is_new = true;
      for (Line& line : lines)
        if (is_new && is_alike(*line.row, row)) is_new = !line.names.merge(name);
      if (is_new) lines.push_back({name, &row});
    }
    out << "parameters: " << plan.rows_.size()
        << "; groups: rows x columns, O rotations, S permutations, B and signs\n";
    for (const Line& line : lines) {
      const PlanRow& row = *line.row;
      out << line.names.text() << "  ";
      if (line.names.count() > 1) out << line.names.count() << " of ";
      out << "[" << row.shape << "]\n";
      if (row.layout != "whole") out << "    " << row.layout << " -> " << row.blocks << '\n';
      out << "    " << row.group << " | " << row.rule << " | scale " << row.scale << '\n';
      const std::string rate = row.rate_text(), rest = row.momentum + " | " + row.decay_text();
      constexpr std::size_t width = 80, indent = 4, separator = 3;
      const bool fits = indent + rate.size() + separator + rest.size() <= width;
      out << "    " << rate << (fits ? " | " : "\n    ") << rest << '\n';
      if (!row.method.empty()) out << "    polar factor: " << row.method << '\n';
    }
    return out;
  }

 private:
  static bool is_alike(const PlanRow& a, const PlanRow& b) {
    return a.shape == b.shape && a.layout == b.layout && a.blocks == b.blocks && a.group == b.group &&
           a.rule == b.rule && a.method == b.method && a.scale == b.scale && a.rate_text() == b.rate_text() &&
           a.momentum == b.momentum && a.decay_text() == b.decay_text();
  }

  std::vector<PlanRow> rows_;
};

}}  // namespace symopt
